"""The board: a read-only live page over Elasticsearch, with shared polls and bounded queues."""
