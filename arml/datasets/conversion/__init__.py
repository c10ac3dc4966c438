"""Making data folders from what is published."""
