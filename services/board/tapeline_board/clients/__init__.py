"""Requests to Elasticsearch and to the inference service."""
