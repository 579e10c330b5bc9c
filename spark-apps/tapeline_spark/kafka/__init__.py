"""Reads Kafka: decoding, replaying a range of the log, waiting for topics."""
