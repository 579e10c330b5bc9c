"""Sharding: splits the instruments between the replicas of the producer."""
