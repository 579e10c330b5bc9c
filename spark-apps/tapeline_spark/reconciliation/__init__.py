"""Compares the counts of each stage for every symbol and minute."""
