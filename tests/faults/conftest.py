"""What tests of faults share with those of the parts."""

from tests.integration.conftest import proxy
from tests.integration.server.conftest import login_with

__all__ = ["login_with", "proxy"]
