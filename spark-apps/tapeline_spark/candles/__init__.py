"""Candle query: one-minute candles of each symbol with indicators and rolling windows."""
