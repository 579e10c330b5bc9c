"""Training, evaluation, the promotion gate, the bundle and the report."""
