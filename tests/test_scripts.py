"""Every Lua script is described, small, and used by one method."""

from __future__ import annotations

import ast
import hashlib
import re
from pathlib import Path

import pytest

from asynq_py.broker import scripts

BROKER = Path(scripts.__file__).parent
FILES = sorted((BROKER / "lua").glob("*.lua"))
SCRIPTS = [path for path in FILES if not path.name.startswith("_")]
PARTS = [path for path in FILES if path.name.startswith("_")]

LONGEST = 5 * 1024  # bytes, sent whole when Redis does not know the script yet

HEADER = re.compile(
    r"""
    \A--\ (?P<name>\w+):\ \S.*\n   # what it does
    --\n
    (?:--.*\n)*?--\ KEYS\ \ 1\ .*\n
    (?:--.*\n)*?--\ ARGV\ \ 1\ .*\n
    (?:--.*\n)*?--\ Returns\ \S.*\n
    (?:--.*\n)*?--\ Peer\ \ \S.*wire\ format\ \d+(?:\.\d+)?.*\n
    """,
    re.VERBOSE,
)


def _id(path: Path) -> str:
    return path.stem


def _code(path: Path) -> str:
    return re.sub(r"--.*", "", path.read_text("utf-8"))


@pytest.mark.parametrize("path", SCRIPTS, ids=_id)
def test_a_script_begins_with_name_keys_arguments_answer_and_peer(path: Path) -> None:
    header = HEADER.match(path.read_text("utf-8"))
    assert header
    assert header["name"] == path.stem


@pytest.mark.parametrize("path", PARTS, ids=_id)
def test_a_part_says_who_includes_it_and_somebody_does(path: Path) -> None:
    assert path.read_text("utf-8").startswith("-- Included by ")
    assert any(f"-- include {path.stem}\n" in script.read_text("utf-8") for script in SCRIPTS)


@pytest.mark.parametrize("path", FILES, ids=_id)
def test_what_a_script_includes_exists_and_includes_nothing_itself(path: Path) -> None:
    included = re.findall(r"^-- include (.*)$", path.read_text("utf-8"), re.MULTILINE)
    assert set(included) <= {part.stem for part in PARTS}
    assert not (included and path in PARTS)


@pytest.mark.parametrize("path", SCRIPTS, ids=_id)
def test_a_loaded_script_is_whole_and_named_by_its_own_hash(path: Path) -> None:
    script = scripts.load(path.stem)
    assert "-- include" not in script.body
    assert script.sha == hashlib.sha1(script.body.encode()).hexdigest()
    by_hash, whole = script(["k1", "k2"], ["a", 1]).arguments, script(["k1", "k2"], ["a", 1]).if_no_script
    assert by_hash == ("EVALSHA", script.sha, 2, "k1", "k2", "a", 1)
    assert whole == ("EVAL", script.body, 2, "k1", "k2", "a", 1)


@pytest.mark.parametrize("path", SCRIPTS, ids=_id)
def test_a_script_is_small(path: Path) -> None:
    assert len(scripts.load(path.stem).body.encode()) <= LONGEST


def test_the_scripts_are_those_that_methods_call() -> None:
    loaded: dict[str, str] = {}
    used: set[str] = set()
    for path in BROKER.glob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        for node in tree.body:
            match node:
                case ast.AnnAssign(
                    target=ast.Name(name), value=ast.Call(ast.Name("load"), [ast.Constant(str(script))])
                ):
                    loaded[name] = script
        used |= {
            node.id
            for function in ast.walk(tree)
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
            for node in ast.walk(function)
            if isinstance(node, ast.Name)
        }
    assert sorted(loaded.values()) == [path.stem for path in SCRIPTS]
    assert list(loaded) == [f"_{script.upper()}" for script in loaded.values()]
    assert set(loaded) - used == set()


@pytest.mark.parametrize("path", FILES, ids=_id)
def test_a_script_answers_in_words_and_never_with_an_error(path: Path) -> None:
    assert not re.search(r"\berror_reply\b|\berr\s*=|\berror\s*\(", _code(path))


@pytest.mark.parametrize("path", FILES, ids=_id)
def test_a_script_unpacks_only_what_its_caller_has_bounded(path: Path) -> None:
    """Lua's unpack ends at 8 000 values (Q-10): keys, fixed arguments, what one call takes or settles."""
    bounded = {
        "dequeue": {"good", "ids", "leases"},
        "done": {"keys", "finished"},
        "_lease": {"released"},
        "_trim": {"keys"},
        "_placed": {"sets"},
        "free_lock": {"bytes"},
    }
    unpacked = set(re.findall(r"\bunpack\(([^)]*)\)", _code(path)))
    fixed = {"KEYS"} if re.search(r"#ARGV", _code(path)) else {"KEYS", "ARGV"}
    assert unpacked <= fixed | bounded.get(path.stem, set())


@pytest.mark.parametrize("path", FILES, ids=_id)
def test_a_script_takes_no_message_apart(path: Path) -> None:
    """What it read of a newer peer's fields, or of large numbers, it would write back mangled."""
    assert not re.search(r"\bcjson\b|\bcmsgpack\b|\bstruct\.", _code(path))


@pytest.mark.parametrize("path", FILES, ids=_id)
def test_a_script_takes_its_time_from_its_caller(path: Path) -> None:
    """One clock decides, and tests can move it."""
    assert not re.search(r"'TIME'|os\.(?:time|clock)", _code(path), re.IGNORECASE)


@pytest.mark.parametrize("path", FILES, ids=_id)
def test_a_script_looks_at_no_more_than_it_was_told(path: Path) -> None:
    """A set of any size must not block Redis (Q-36): each range has a limit, and none lists a whole key."""
    code = _code(path)
    whole = set(re.findall(r"'(KEYS|SMEMBERS|HGETALL|HKEYS|HVALS|SCAN)'", code))
    # a flow has limits.FLOW_STEPS steps at most, and begins once
    assert whole <= ({"HKEYS"} if path.stem == "flow_begin" else set())
    unbounded = [
        line
        for line in code.splitlines()
        if re.search("'Z(?:REV)?RANGEBYSCORE'", line) and "'LIMIT'" not in line and "score, score" not in line
    ]
    assert unbounded == []
