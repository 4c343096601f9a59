"""What is installed and what is shipped: known defects, a list of parts, files that do not belong there.

The tools have a virtual environment of their own, `.audit`: they must not be among what they look at.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.verify.report import REPORTS

ROOT: Final = Path(__file__).parents[3]
TOOLS: Final = ROOT / ".audit"
PATIENCE: Final = 240.0

# What only one who tests or builds has; everything else in these packages is for users.
SHIPPED: Final = re.compile(
    r"(asynq_py|tests|examples|docs|benchmarks)/|Makefile$|LICENSE$|PKG-INFO$|pyproject\.toml$|\.gitignore$|[A-Z]+\.md$"
)
STRAY: Final = re.compile(
    r"(^|/)(__pycache__|\.[^/]*cache|\.venv|\.audit|\.git|reports|node_modules|\.env|\.DS_Store)(/|$)"
    r"|\.(pyc|pyo|log|pem|key|crt|rdb|aof|orig|rej|swp|patch|sqlite3?)$|~$"
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """`text`: for the report. `failed`: something is wrong; not, that it could not be looked at."""

    text: str
    failed: bool = False


class SkippedError(Exception):
    """It could not be looked at."""


def _run(*command: str | Path, code: int | None = 0) -> subprocess.CompletedProcess[str]:
    try:
        ended = subprocess.run(
            [*map(str, command)], capture_output=True, text=True, timeout=PATIENCE, cwd=ROOT
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SkippedError(f"{Path(command[0]).name}: {type(error).__name__}") from error
    if code is not None and ended.returncode != code:
        last = (ended.stderr.strip() or ended.stdout.strip() or "no word").splitlines()[-1]
        raise SkippedError(f"{Path(command[0]).name}: {last[:200]}")
    return ended


def tools() -> Path:
    """Where the tools are; they are installed the first time. Raises: SkippedError."""
    done = TOOLS / ".ready"
    if not done.exists():
        _run(sys.executable, "-m", "venv", TOOLS)
        python = TOOLS / "bin/python"
        _run(python, "-m", "pip", "install", "--quiet", "--upgrade", "pip")
        _run(python, "-m", "pip", "install", "--quiet", "--group", "audit")
        done.touch()
    return TOOLS / "bin"


def audit() -> Outcome:
    """Ask for known defects of all that is installed beside this."""
    places = sorted({path for path in sys.path if path.endswith("site-packages")})
    arguments = [argument for place in places for argument in ("--path", place)]
    try:
        ended = _run(
            tools() / "pip-audit", *arguments, "--format", "json", "--skip-editable",
            "--progress-spinner", "off", code=None,
        )  # fmt: skip
    except SkippedError as error:
        return Outcome(f"skipped: {error}")
    try:
        found = json.loads(ended.stdout)["dependencies"]
    except ValueError:
        last = (ended.stderr.strip() or "no word").splitlines()[-1]
        return Outcome(f"skipped: {last[:200]}")
    known = [
        f"{part['name']} {part['version']}: {one['id']}" for part in found for one in part.get("vulns", ())
    ]
    if not known:
        return Outcome(f"none known in {len(found)} packages")
    ours = [text for text in known if text.split()[0] in _run_time_parts()]
    return Outcome("; ".join(known), failed=bool(ours))


def _run_time_parts() -> set[str]:
    """What users of the core get; a defect in a tool of ours is told, and fails nothing."""
    return {"anyio", "cronsim", "protobuf", "redis", "hiredis", "idna", "sniffio", "typing-extensions"}


def parts_list() -> Outcome:
    """Write what is installed as CycloneDX."""
    REPORTS.mkdir(exist_ok=True)
    path = REPORTS / "sbom.json"
    try:
        _run(tools() / "cyclonedx-py", "environment", sys.executable, "--of", "JSON", "-o", path)
    except SkippedError as error:
        return Outcome(f"skipped: {error}")
    count = len(json.loads(path.read_text("utf-8")).get("components", ()))
    return Outcome(f"{count} parts in reports/sbom.json", failed=not count)


def packages() -> Outcome:
    """Build both packages and look what is in them."""
    try:
        python = tools() / "python"
        with tempfile.TemporaryDirectory(prefix="asynq-py-build-") as folder:
            _run(python, "-m", "build", "--no-isolation", "--outdir", folder, ROOT)
            (wheel,), (sdist,) = Path(folder).glob("*.whl"), Path(folder).glob("*.tar.gz")
            with zipfile.ZipFile(wheel) as opened:
                in_wheel = opened.namelist()
            with tarfile.open(sdist) as archive:
                in_sdist = [name.partition("/")[2] for name in archive.getnames()]
    except SkippedError as error:
        return Outcome(f"skipped: {error}")
    odd = stray(in_wheel, in_sdist)
    return Outcome(
        f"{len(in_wheel)} files in the wheel, {len(in_sdist)} in the sdist; {odd or 'none stray'}", bool(odd)
    )


def stray(in_wheel: list[str], in_sdist: list[str]) -> list[str]:
    """Files that do not belong into a package, or that are missing from it."""
    code = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "asynq_py").rglob("*")
        if path.suffix in {".py", ".lua", ".pyi", ".typed", ".desc"} and "__pycache__" not in path.parts
    ]
    return [
        *(name for name in in_wheel if not re.match(r"asynq_py/|asynq_py-[^/]+\.dist-info/", name)),
        *(name for name in in_sdist if name and not SHIPPED.match(name)),
        *(name for name in (*in_wheel, *in_sdist) if STRAY.search(name)),
        *(f"missing: {name}" for name in code if name not in in_wheel or name not in in_sdist),
    ]
