"""The records beside the trade: gaps, rejects, candles, reconciliation, scores, alerts."""
