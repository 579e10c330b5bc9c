"""Simulates a Bybit V5 exchange on real sockets."""
