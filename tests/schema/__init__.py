"""What tasks take and return, for other languages, and what of it may change."""
