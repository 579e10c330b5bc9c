"""Clients of Elasticsearch and of the inference service."""
