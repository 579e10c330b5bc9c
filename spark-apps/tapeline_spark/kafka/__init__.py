"""Reading Kafka: decoding records, reading the log again, waiting for topics."""
