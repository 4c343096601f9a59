"""`asynq-py schema`: what tasks take and return, for other languages; and whether a change of it breaks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import click

import asynq_py
import asynq_py.schema as schemas  # its names come when they are used
from asynq_py.cli import loading
from asynq_py.cli.commands import Group
from asynq_py.cli.failure import Code, CommandError, ConfigError
from asynq_py.cli.output import print_json
from asynq_py.cli.settings import Settings, common, readable

OBJECT: Final = click.argument("path", metavar="MODULE:APP")
EXAMPLE: Final = "myproject.tasks:app"
PACKAGE: Final = "tasks"

_WRITERS: Final[Mapping[str, Callable[[schemas.Document, str], str]]] = {
    "json-schema": lambda document, _: document.text(),
    "go": lambda document, package: schemas.to_go(document, package),
    "typescript": lambda document, _: schemas.to_typescript(document),
}


@click.group(cls=Group)
@common
def schema() -> None:
    """Tell other languages what tasks take and return, and find changes that break."""


@schema.command()
@OBJECT
@click.option(
    "--format", "language", type=click.Choice(list(_WRITERS)), default="json-schema", show_default=True,
    help="What is written.",
)  # fmt: skip
@click.option("-o", "--output", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path),
              help="Where. Default: the standard output.")  # fmt: skip
@click.option("--package", metavar="NAME", default=PACKAGE, show_default=True,
              help="With --format go: the package.")  # fmt: skip
@common
def export(path: str, language: str, output: Path | None, package: str) -> None:
    """Write the schemas of all tasks of an app: JSON Schema, structs of Go, interfaces of TypeScript.

    MODULE:APP is an App, or a function without arguments that returns one.
    """
    if not package.isidentifier():
        raise ConfigError(f"{package!r} is no name of a package")
    text = _WRITERS[language](schemas.describe(_app(path)), package)
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        output.write_text(text, "utf-8")
    except OSError as error:
        raise CommandError(f"{output} cannot be written: {error.strerror}") from error


@schema.command()
@OBJECT
@click.option("--against", metavar="FILE", required=True, type=click.Path(dir_okay=False, path_type=Path),
              help="What `schema export` has written before.")  # fmt: skip
@readable
@click.pass_context
def check(context: click.Context, path: str, against: Path) -> None:
    """Compare the tasks of an app with those of a file, and fail if tasks that wait would not be taken.

    Exit code: 0 nothing breaks, 1 something does; it is listed.
    """
    settings = context.find_root().ensure_object(Settings)
    try:
        old = schemas.read(against.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{against} cannot be read: {error}") from error
    except schemas.SchemaFileError as error:
        raise ConfigError(f"{against}: {error}") from error
    found = schemas.breaking_changes(old, schemas.describe(_app(path)))
    if settings.is_json:
        print_json({"breaking": found})
    else:
        click.echo("\n".join(found) if found else "nothing breaks")
    context.exit(Code.FAILED if found else Code.DONE)


def _app(path: str) -> asynq_py.Router:
    found = loading.load(path, example=EXAMPLE)
    if not isinstance(found, asynq_py.Router):
        found = loading.called(found, path)
    if not isinstance(found, asynq_py.Router):
        raise ConfigError(
            f"{path} is no App such as {EXAMPLE}, nor a function without arguments that returns one"
        )
    return found
