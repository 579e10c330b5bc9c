"""From stored trades to the rows that a forest learns from."""
