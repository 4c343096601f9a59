"""The terminal dashboard, `asynq-py dash`. One way only: poller → look (frozen) → show."""
