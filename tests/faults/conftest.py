"""What tests of faults share with those of the parts."""

from tests.end_to_end.conftest import workers
from tests.integration.conftest import proxy

__all__ = ["proxy", "workers"]
