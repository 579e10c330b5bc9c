"""Trade query: decode, de-duplicate, compute features, score, index."""
