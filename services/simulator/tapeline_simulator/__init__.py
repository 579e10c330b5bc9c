"""An exchange that speaks Bybit V5 on real sockets."""
