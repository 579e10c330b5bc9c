"""Images, the kind cluster with its registry, and the operators (`make images` to `make kind-down`)."""
