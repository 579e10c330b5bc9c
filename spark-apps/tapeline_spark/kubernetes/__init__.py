"""The container's entry point and what Spark on Kubernetes tells it."""
