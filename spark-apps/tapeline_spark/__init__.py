"""Two streaming queries from Kafka to Elasticsearch: trades and candles."""
