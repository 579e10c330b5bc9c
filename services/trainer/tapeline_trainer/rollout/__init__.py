"""Rolling a model out: registry, serving target, monitoring."""
