"""Kafka writers: trades, gaps, rejects, overflow, delivery reports and counts."""
