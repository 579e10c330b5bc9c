"""Features, labels, the forest, and the bundle and image that carry a model."""
