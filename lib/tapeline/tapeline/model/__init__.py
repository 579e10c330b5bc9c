"""Features, labels, the forest, and the bundle and OCI image of a model."""
