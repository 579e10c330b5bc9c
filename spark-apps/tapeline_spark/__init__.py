"""Kafka to Elasticsearch."""
