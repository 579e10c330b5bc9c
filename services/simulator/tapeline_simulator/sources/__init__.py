"""Where trades come from: the synthetic market and replays."""
