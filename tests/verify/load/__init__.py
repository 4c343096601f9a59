"""Holds a load for minutes and looks what grows: not how fast it is, but whether it stays as it is."""
