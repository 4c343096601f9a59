"""What tasks take, for other languages; and what happens when it changes."""

from dataclasses import dataclass

from asynq_py import App
from asynq_py.schema import breaking_changes, describe, read, to_go, to_typescript

app = App()


@dataclass
class Image:
    path: str
    width: int = 100


@app.task(name="image:resize")
async def resize(image: Image) -> Image:
    """Make an image smaller."""
    return image


@app.task
async def send_welcome(user_id: int, *, template: str = "hello") -> None: ...


newer = App()


@newer.task(name="image:shrink", aliases=["image:resize"])
async def shrink(image: Image) -> Image:
    return image


@newer.task(name="send_welcome")
async def send_welcome_with(user_id: int, subject: str) -> None: ...


def main() -> None:
    print(to_go(describe(app)))
    print(to_typescript(describe(app)))

    kept = describe(app).text()  # what `asynq-py schema export` writes
    for change in breaking_changes(read(kept), describe(newer)):
        print("breaks:", change)


if __name__ == "__main__":
    main()
