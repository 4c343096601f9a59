"""What connects asynq_py with other libraries, each behind an extra of its own."""
