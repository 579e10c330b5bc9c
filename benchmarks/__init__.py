"""What this machine does with it: ratios within one run, never absolute promises."""
