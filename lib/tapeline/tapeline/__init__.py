"""What every part of Tapeline shares."""
