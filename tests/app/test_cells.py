"""Tasks that are typed into a notebook or a shell, where a cell is run again and again."""

from __future__ import annotations

from typing import Any

import pytest

from asynq_py import App, InvalidOptionError

CELL = """
@app.task
async def greet(name: str) -> str:
    return f"{word}, {name}"

@app.cron("@daily")
@app.task(name="tidy:x")
def tidy() -> None: ...

@app.cron("@hourly")
def look() -> None: ...
"""


def run_cell(app: App, code: str, *, file: str = "/tmp/ipykernel_7/123.py", module: str = "__main__") -> None:
    there: dict[str, Any] = {"app": app, "__name__": module}
    exec(compile(code, file, "exec"), there)


@pytest.mark.parametrize("file", ["/tmp/ipykernel_7/123.py", "<ipython-input-3>", "<stdin>"])
async def test_a_cell_that_is_run_again_declares_its_tasks_anew(one_server: str, file: str) -> None:
    app = App(one_server)
    for word in ("hello", "hello", "hi"):
        run_cell(app, f"word = {word!r}{CELL}", file=file)

    assert sorted(app.tasks) == ["greet", "look", "tidy:x"]
    async with app.test(one_server) as rehearsal:
        handle = await app.tasks["greet"].options(wait=True).enqueue("ada")
        assert await handle.result() == "hi, ada"
        await rehearsal.advance("24h")
    assert len(rehearsal.runs("look")) == 24
    assert len(rehearsal.runs("tidy:x")) == 1


@pytest.mark.parametrize(("file", "module"), [("/srv/shop/tasks.py", "__main__"), ("<stdin>", "shop.tasks")])
def test_elsewhere_a_type_is_declared_once(file: str, module: str) -> None:
    app = App()
    code = "@app.task\nasync def greet() -> None: ..."
    run_cell(app, code, file=file, module=module)
    with pytest.raises(InvalidOptionError, match="each type once"):
        run_cell(app, code, file=file, module=module)


def test_a_cell_does_not_replace_what_a_module_declares() -> None:
    app = App()
    code = "@app.task\nasync def greet() -> None: ..."
    run_cell(app, code, file="/srv/shop/tasks.py", module="shop.tasks")
    with pytest.raises(InvalidOptionError, match="each type once"):
        run_cell(app, code)


def test_what_no_other_process_can_import_does_not_run_in_one() -> None:
    with pytest.raises(InvalidOptionError, match="not of a cell"):
        run_cell(App(), "@app.task(executor='process')\ndef crunch() -> None: ...")
