"""Candles, the second query: minutes of each symbol out of the log, with indicators and rolling windows."""
