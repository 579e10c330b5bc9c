"""What reconciliation and evaluation both need to know of a minute; neither imports the other."""
