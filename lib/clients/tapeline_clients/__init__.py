"""Clients that several services share. Each needs its extra: `tapeline-clients[kafka]`, `[elasticsearch]`."""
