"""`make verify-security`: the tests of security, then what takes longer, and a report."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Sequence
from typing import Final

from tests.verify.report import Figure, print_table, write_report
from tests.verify.security import flood, supply

TESTS: Final = {
    "smallest rights": ["tests/integration/test_acl.py", "tests/verify/test_security_rights.py"],
    "TLS and mutual TLS": ["tests/integration/test_tls.py"],
    "secrets": [
        "tests/verify/test_security_secrets.py", "tests/integration/server/test_logging.py",
        "tests/unit/cli/test_secrecy.py",
        "tests/cli/test_connecting.py::test_a_hidden_url_is_an_argument_still",
        "tests/cli/test_connecting.py::test_no_list_of_processes_shows_a_password",
    ],
    "a payload is data": ["tests/verify/test_security_source.py"],
}  # fmt: skip
PATIENCE: Final = 600.0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.verify.security", description=__doc__)
    parser.add_argument("--offline", action="store_true", help="ask no package index, install no tools")
    given = parser.parse_args(arguments)
    figures: dict[str, Figure] = {}
    failed = False
    for name, files in TESTS.items():
        figures[name], bad = _tested(files)
        failed |= bad
    for flooded, (grown, allowed) in flood.growth().items():
        mib = flood.MIB
        figures[f"worker's memory, {flooded}"] = f"{grown / mib:+.0f} MiB, at most {allowed / mib:.0f}"
        failed |= grown > allowed
    looks = {
        "known defects of packages": supply.audit,
        "list of parts": supply.parts_list,
        "built packages": supply.packages,
    }
    for name, look in looks.items():
        outcome = supply.Outcome("skipped: --offline") if given.offline else look()
        figures[name] = outcome.text
        failed |= outcome.failed
    print_table("security", figures, failed)
    write_report("security", figures, failed)
    return 1 if failed else 0


def _tested(files: Sequence[str]) -> tuple[str, bool]:
    """Run tests. Returns what is to be said of them, and whether one failed."""
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files],
        capture_output=True, text=True, timeout=PATIENCE, cwd=supply.ROOT,
    )  # fmt: skip
    if ended.returncode:
        sys.stdout.write(ended.stdout)
    last = (ended.stdout.strip() or "no word").splitlines()[-1]
    return re.sub(r" in [\d.]+s.*", "", last) + (" tests" if not ended.returncode else ""), bool(
        ended.returncode
    )


if __name__ == "__main__":
    sys.exit(main())
