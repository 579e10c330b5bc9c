"""One module a panel: its search requests, and how their responses are parsed."""
