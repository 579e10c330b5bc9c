"""Gap detection, and reading the log to learn which trades Kafka already holds."""
