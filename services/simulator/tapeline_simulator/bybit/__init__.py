"""Bybit V5's wire format: frames, socket protocol, REST, recordings."""
