"""Exchange adapters, and the selection of symbols."""
