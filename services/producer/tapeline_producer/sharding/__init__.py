"""Sharing the instruments out among the replicas of the producer."""
