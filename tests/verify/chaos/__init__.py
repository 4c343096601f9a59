"""A load, a nemesis, and a ledger outside Redis that tells afterwards whether every promise was kept."""
