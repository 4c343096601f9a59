"""Home: where a task is declared, and so its prefix, its defaults, and who sends it."""

from __future__ import annotations

from asynq_py.app.carrying import NOTHING, Carrier
from asynq_py.app.connections import Connections, Outlet
from asynq_py.app.dependencies import NO_OVERRIDES, Overrides
from asynq_py.errors import AsynqError
from asynq_py.options import TaskOptions


class Home:
    """That of an app has an outlet; that of a router gets a parent when it is included."""

    def __init__(
        self,
        prefix: str,
        options: TaskOptions,
        outlet: Outlet | None = None,
        overrides: Overrides = NO_OVERRIDES,
        carrier: Carrier = NOTHING,
    ) -> None:
        self._prefix = f"{prefix}:" if prefix and prefix[-1].isalnum() else prefix
        self._options = options
        self._outlet = outlet
        self._overrides = overrides
        self._carrier = carrier
        self.parent: Home | None = None

    def of_app(self, outlet: Outlet, overrides: Overrides, carrier: Carrier) -> Home:
        return Home(self._prefix, self._options, outlet, overrides, carrier)

    @property
    def is_root(self) -> bool:
        return self._outlet is not None

    @property
    def prefix(self) -> str:
        return self._prefix if self.parent is None else self.parent.prefix + self._prefix

    @property
    def options(self) -> TaskOptions:
        return self._options if self.parent is None else merged(self.parent.options, self._options)

    @property
    def overrides(self) -> Overrides:
        return self._overrides if self.parent is None else self.parent.overrides

    @property
    def carrier(self) -> Carrier:
        return self._carrier if self.parent is None else self.parent.carrier

    @property
    def outlet(self) -> Outlet | None:
        """Of the app it belongs to, if it belongs to one."""
        return self._outlet if self.parent is None else self.parent.outlet

    def connections(self) -> Connections:
        """Raises: AsynqError: no app includes the router; no event loop runs here."""
        if self._outlet is not None:
            return self._outlet.here()
        if self.parent is None:
            raise AsynqError("this task belongs to a router that no app includes: `app.include(router)`")
        return self.parent.connections()


def merged(first: TaskOptions, then: TaskOptions) -> TaskOptions:
    """Later ones win, and stand behind: of two that exclude each other the last counts."""
    given: TaskOptions = {**then}
    for name in [name for name, value in then.items() if value is None]:
        del given[name]  # type: ignore[misc]  # None says nothing, so it does not move to the end
    kept = {name: value for name, value in first.items() if name not in given}
    return {**kept, **given}  # type: ignore[typeddict-item]  # both halves come from TaskOptions
