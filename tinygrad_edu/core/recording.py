"""Whether what is computed is recorded: `no_grad`, for a thread and, of asyncio, a task."""

from __future__ import annotations

import contextlib
import contextvars
import functools
import inspect
from _thread import get_ident  # `threading` would take long to import
from collections.abc import Iterator
from typing import Any

#: Whether this thread, and in it this task of asyncio, records what it computes.
recording = contextvars.ContextVar("recording", default=True)
#: One entry for every open `no_grad` and `debug_nans`, of whichever thread: without any, no node
#: need ask its own.
asking: list[None] = []


def _switched(on: bool) -> Iterator[None]:
    """Record or not until closed. A generator, because a dropped one closes itself: Ctrl-C between
    the body of a `with` and its exit must not leave the switch as it was inside."""
    before = recording.get()
    asking.append(None)
    try:
        recording.set(on)
        yield
    finally:
        recording.set(before)
        asking.pop()


recorded = contextlib.contextmanager(functools.partial(_switched, True))


class no_grad(contextlib.ContextDecorator):
    """Compute without recording: ``with tg.no_grad(): …`` or ``@tg.no_grad()``; in this thread
    and, of asyncio, this task.

    >>> w = tg.Value(2.0)
    >>> with tg.no_grad():
    ...     z = w * 3
    >>> z.requires_grad
    False
    """

    def __init__(self) -> None:
        self._open: dict[int, list[Any]] = {}  # by thread: one object may serve several

    def __enter__(self) -> None:
        switch = _switched(False)
        next(switch)
        self._open.setdefault(get_ident(), []).append(switch)

    def __exit__(self, *exc: object) -> None:
        self._open[get_ident()].pop().close()

    def __call__(self, func: Any) -> Any:
        """Decorate a function; a generator or coroutine is refused, its body would run later."""
        if inspect.isgeneratorfunction(func) or inspect.isasyncgenfunction(func):
            raise TypeError("no_grad cannot decorate a generator: use `with no_grad():` inside it")
        if inspect.iscoroutinefunction(func):
            raise TypeError("no_grad cannot decorate a coroutine: use `with no_grad():` inside it")

        @functools.wraps(func)
        def withoutrecording(*args: Any, **kwargs: Any) -> Any:
            with no_grad():
                return func(*args, **kwargs)

        return withoutrecording
