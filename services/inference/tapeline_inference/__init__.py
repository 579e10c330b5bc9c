"""Probabilities for trades over HTTP."""
