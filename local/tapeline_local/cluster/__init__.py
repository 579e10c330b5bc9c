"""Images, a kind cluster with its registry, and the operators: what `make images` to `make kind-down` run."""
