"""Reads the exchange and writes Kafka."""
