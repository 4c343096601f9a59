"""The one place where the driver's errors become ours. No text of ours ever quotes a command's arguments."""

from __future__ import annotations

from typing import Any, Final

from redis.exceptions import (
    AuthenticationError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    RedisError,
)

from asynq_py.errors import AsynqError, BrokerError, BrokerUnavailableError

# Redis is there but cannot serve now; each of these codes passes by itself.
_TRANSIENT: Final = frozenset(
    (
        "LOADING", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "READONLY", "MISCONF", "NOREPLICAS", "BUSY",
        # another node has the key, or will have it soon; a lane that knows nodes goes there instead
        "MOVED", "ASK",
        # what a blocked command hears when its master is demoted
        "UNBLOCKED",
    )
)  # fmt: skip
# While its slot moves, a script that runs into a key which has gone already ends there, half-done.
_HALF_MOVED: Final = "attempted to access a non local key"
_DENIED: Final = frozenset(("NOAUTH", "WRONGPASS", "NOPERM"))
# In a script it is told in words, other ones in Valkey.
_DENIED_WITHIN: Final = ("The user executing the script can't", "ACL failure in script")
_UNKNOWN: Final = ("unknown command", "unknown subcommand")  # old, or withheld by who runs it for us


def code(error: RedisError) -> str:
    """The first word of Redis' answer; the driver cuts it off where it has a class for it."""
    return getattr(error, "status_code", None) or str(error).partition(" ")[0]


def translated(reply: Any) -> Any:
    """Make a refusal by Redis an error of ours; any other reply stays as it is."""
    if not isinstance(reply, RedisError):
        return reply
    reason, text = code(reply), str(reply)
    if isinstance(reply, NoScriptError):  # the connection broke before it could be sent whole
        error: AsynqError = BrokerUnavailableError("Redis did not answer when asked again")
    elif reason in _TRANSIENT:
        error = BrokerUnavailableError(f"Redis cannot serve now ({reason}): {text}")
    elif _HALF_MOVED in text:
        error = BrokerUnavailableError(f"Redis cannot serve now, a slot is moving: {text}", maybe_done=True)
    elif reason in _DENIED or any(words in text for words in _DENIED_WITHIN):
        error = BrokerError(f"Redis denies access ({reason}): {text}")
    else:
        error = BrokerError(f"Redis refused a command: {text}")
    error.__cause__ = reply
    return error


def unreachable(place: object, error: BaseException) -> AsynqError:
    """Say why no connection could be had, or why it broke. `place`: shown as text."""
    # on a socket file the driver wraps what Redis said in an error of its own
    if any(isinstance(e, AuthenticationError | NoPermissionError) for e in (error, error.__cause__)):
        return BrokerError(f"Redis at {place} denies access: {error}")
    reason = "no answer in time" if isinstance(error, TimeoutError) else error
    return BrokerUnavailableError(f"Redis at {place} is not reachable: {reason}")


def is_full(error: BaseException | None) -> bool:
    """Did Redis refuse because it has no memory left? That passes."""
    return isinstance(error, BrokerError) and isinstance(error.__cause__, OutOfMemoryError)


def is_withheld(error: AsynqError) -> bool:
    """Did Redis refuse because this user may not do that, or because this server has no such command?"""
    cause = error.__cause__
    if not isinstance(cause, RedisError):
        return False
    text = str(cause)
    is_denied = code(cause) in _DENIED or any(words in text for words in _DENIED_WITHIN)
    return is_denied or any(words in text.lower() for words in _UNKNOWN)
