"""Limits that all workers share: so many in a time, or so many at once."""
