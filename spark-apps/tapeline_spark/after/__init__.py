"""What follows from the candles: whether the books balance, and how past predictions turned out."""
