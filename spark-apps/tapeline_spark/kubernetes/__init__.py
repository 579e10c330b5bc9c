"""Entry point of the image, and the settings that Spark on Kubernetes passes to it."""
