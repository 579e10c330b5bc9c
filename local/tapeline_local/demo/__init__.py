"""`make demo`: the stack, its live statistics in the terminal, and the reconciliation at the end."""
