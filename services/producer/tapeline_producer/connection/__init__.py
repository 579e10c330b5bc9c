"""WebSocket connections: connect, subscribe, read, detect stalls, reconnect."""
