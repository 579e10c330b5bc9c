"""Trains, evaluates and promotes the random forest."""
