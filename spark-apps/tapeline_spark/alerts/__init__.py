"""Alert rules: evaluation, episodes, publishing."""
