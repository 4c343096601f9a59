"""Structs that `asynq-py schema export` writes for Go: they compile, and mean what the functions here do."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest

from asynq_py import Task, TaskState
from asynq_py.schema import describe, to_go
from tests.interop.build import SOURCE, NoPeerError, go_version
from tests.schema import shop

pytestmark = pytest.mark.timeout(300, func_only=True)

PROGRAM = """
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/hibiken/asynq"
	"peer/tasks"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func redis(url string) asynq.RedisConnOpt {
	if path, ok := strings.CutPrefix(url, "unix://"); ok {
		path, _, _ = strings.Cut(path, "?")
		return asynq.RedisClientOpt{Network: "unix", Addr: path}
	}
	opt, err := asynq.ParseRedisURI(url)
	check(err)
	return opt
}

func enqueue(url string) {
	client := asynq.NewClient(redis(url))
	defer client.Close()
	send := func(kind string, payload any, queue string) {
		data, err := json.Marshal(payload)
		check(err)
		task := asynq.NewTask(kind, data)
		_, err = client.Enqueue(task, asynq.Queue(queue), asynq.Retention(time.Hour), asynq.TaskID(kind))
		check(err)
	}
	moment := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	send(tasks.TypeOrderShip, tasks.Order{
		ID:       "12345678-1234-5678-1234-567812345678",
		Lines:    []tasks.Category{{Name: "a", Below: []tasks.Category{{Name: "b"}}}},
		PlacedAt: moment,
	}, "ships")
	two := int64(5)
	send(tasks.TypeStructs, tasks.StructsPayload{
		One:   tasks.Struct{X: 1, Y: &two},
		Model: tasks.Model{At: moment, Parts: []tasks.Inner{{Z: 1.5}}},
	}, "shop")
	send(tasks.TypeChoices, tasks.ChoicesPayload{
		Color: tasks.ColorDarkBlue, Level: tasks.LevelHigh, Word: "a", Mixed: 1, Either: "x",
		Anything: []int{1},
	}, "shop")
}

func echo(into any) {
	decoder := json.NewDecoder(os.Stdin)
	decoder.DisallowUnknownFields()
	check(decoder.Decode(into))
	out := &bytes.Buffer{}
	check(json.NewEncoder(out).Encode(into))
	fmt.Print(out)
}

func main() {
	switch os.Args[1] {
	case "enqueue":
		enqueue(os.Args[2])
	case tasks.TypeScalars:
		echo(&tasks.ScalarsPayload{})
	case tasks.TypeContainers:
		echo(&tasks.ContainersPayload{})
	case tasks.TypeChoices:
		echo(&tasks.ChoicesPayload{})
	case tasks.TypeOrderShip:
		echo(&tasks.Order{})
	case tasks.TypeStructs:
		echo(&tasks.StructsPayload{})
	case tasks.TypeNoArguments:
		echo(&tasks.NoArgumentsPayload{})
	}
}
"""


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that imports what was written for the shop."""
    try:
        go_version()
    except NoPeerError as why:
        pytest.skip(str(why))
    folder = tmp_path_factory.mktemp("go-schema")
    for name in ("go.mod", "go.sum"):
        shutil.copy(SOURCE / name, folder)
    (folder / "main.go").write_text(PROGRAM)
    (folder / "tasks").mkdir()
    (folder / "tasks/tasks.go").write_text(to_go(describe(shop.app)))
    environment = os.environ | {"GOTOOLCHAIN": "local", "GOFLAGS": ""}
    fetched = subprocess.run(["go", "mod", "download"], cwd=folder, env=environment, timeout=120, check=False)
    if fetched.returncode:
        pytest.skip("asynq cannot be downloaded")
    built = subprocess.run(
        ["go", "build", "-buildvcs=false", "-o", "program", "."],
        cwd=folder,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        timeout=280,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return folder / "program"


def run(program: Path, *arguments: str, given: bytes = b"") -> bytes:
    ended = subprocess.run([program, *arguments], input=given, capture_output=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr.decode()
    return ended.stdout


def test_gofmt_finds_nothing_to_do(program: Path) -> None:
    told = subprocess.run(
        ["gofmt", "-d", program.parent / "tasks/tasks.go"], capture_output=True, timeout=60, check=True
    )
    assert told.stdout == b""


MOMENT = datetime(2026, 1, 2, 3, 4, 5, 250000, UTC)

CALLS = [
    shop.scalars.task(
        1, 2.5, True, "ä", MOMENT, date(2026, 1, 2), time(3, 4), timedelta(minutes=1.5), UUID(int=7),
        Decimal("1.10"), Path("/tmp/a"), b"\x00\xff", None,
    ),
    shop.containers.task(
        ["a"], {1}, frozenset("b"), (1, 2), (1, "a"), shop.Point(1.5, 2.5), {"a": 1}, {1: ["x"]},
        {"color": shop.Color.RED},
    ),
    shop.choices.task(shop.Color.DARK_BLUE, shop.Level.LOW, "b", "a", 3, None, {"deep": [1]}, later="x"),
    shop.choices.task(shop.Color.RED, shop.Level.HIGH, "a", 1, "text", "some", None, flag=True),
    shop.ship.task(shop.Order(UUID(int=1), [shop.Category("a", [shop.Category("b")])], MOMENT, "note")),
    shop.structs.task(shop.Struct(1), shop.Model(at=MOMENT, inner=shop.Inner(z=1.5)), shop.Inner(z=2)),
    shop.no_arguments.task(),
]  # fmt: skip


@pytest.mark.parametrize("task", CALLS, ids=lambda task: task.type)
def test_a_payload_is_the_same_after_a_journey_through_go(program: Path, task: Task) -> None:
    signature = shop.app.tasks[task.type].declaration.signature
    echoed = run(program, task.type, given=task.payload or b"")
    args, kwargs = signature.load(task.type, echoed)
    assert signature.dump(task.type, tuple(args), kwargs) == task.payload


async def test_what_go_enqueues_with_the_structs_is_handled_here(program: Path, one_server: str) -> None:
    async with shop.app.test(one_server, flush=True) as t:
        run(program, "enqueue", one_server)
        ran = await t.run_until_idle()

        assert {(one.type, one.error, one.state) for one in ran} == {
            (name, None, TaskState.COMPLETED) for name in ("order:ship", "structs", "choices")
        }
        order = await shop.ship.handle("order:ship").result()
        assert order.placed_at == MOMENT.replace(microsecond=0)
        assert order.lines == [shop.Category("a", [shop.Category("b")])]
        assert await shop.choices.handle("choices").result() is shop.Color.DARK_BLUE
        model = (await t.inspector.task_info("shop", "structs")).result
        assert json.loads(model or b"")["parts"] == [{"z": 1.5}]
