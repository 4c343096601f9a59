"""Tries what an attacker would, and looks at what others could see, or could have slipped in."""
