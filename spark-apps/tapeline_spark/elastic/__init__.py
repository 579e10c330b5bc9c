"""Writes to Elasticsearch: index templates, documents, bulk requests."""
