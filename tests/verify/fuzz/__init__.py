"""Throws what nobody should send at all that reads, and looks what comes of it."""
