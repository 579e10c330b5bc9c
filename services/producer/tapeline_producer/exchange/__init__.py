"""What is asked of an exchange, and which of its symbols are followed."""
