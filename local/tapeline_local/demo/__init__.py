"""`make demo`: the stack, its picture in the terminal, and the reconciliation at the end."""
