"""Writing to Kafka: trades, overflow, delivery reports, counts."""
