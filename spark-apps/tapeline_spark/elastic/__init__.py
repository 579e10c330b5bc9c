"""Writing to Elasticsearch: templates, documents, bulk requests."""
