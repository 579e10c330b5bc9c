"""Shared polls of Elasticsearch and the server-sent events fed by them."""
