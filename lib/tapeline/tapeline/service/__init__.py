"""What every service needs around its work: connections, health, logging, signals."""
