"""The whole stack as supervised plain processes."""
