"""Bybit V5: messages of the public trade stream, and the REST API."""
