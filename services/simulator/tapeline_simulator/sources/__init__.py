"""Sources of trades: the synthetic market and replays."""
