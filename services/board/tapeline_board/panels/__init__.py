"""One module a panel: its query, and how the response is parsed."""
