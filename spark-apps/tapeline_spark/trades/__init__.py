"""The trade query: decode, de-duplicate, compute features, score, index."""
