"""Gap detection, and reading the log to learn what Kafka holds already."""
