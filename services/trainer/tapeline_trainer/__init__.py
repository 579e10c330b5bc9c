"""Trains, judges and promotes the forest."""
