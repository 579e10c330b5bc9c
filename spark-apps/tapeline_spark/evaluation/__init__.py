"""Scores past predictions against the price that came next."""
