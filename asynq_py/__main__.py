"""`python -m asynq_py` does what `asynq-py` does."""

from asynq_py.cli.entry import main

if __name__ == "__main__":  # worker processes import this module, too
    main()
