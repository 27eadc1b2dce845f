"""A program: the callable that `compile` gives."""

from __future__ import annotations

import copy
import html
from collections.abc import Callable, Sequence
from typing import Any

from tinygrad_edu.core.habits import only_named
from tinygrad_edu.core.primitive import plain
from tinygrad_edu.program.arguments import Argument, Scalars
from tinygrad_edu.program.careful import Careful

Run = Callable[..., tuple[Any, ...]]


def lines(code: Any, constants: list[Any]) -> Run:
    """The compiled lines, ready to run, with working memory of their own."""
    space: dict[str, Any] = {"constants": constants, "__name__": "program"}
    # Our own text: every name in it was made or checked in `source`.
    exec(code, space)  # noqa: S102
    run: Run = space.pop("program")  # it knows its space, the space need not know it
    return run


class Program:
    """A recorded graph and its backward pass as straight-line NumPy, for new numbers.

    ``program(W1=…, X=…)`` returns the cost and ``{"W1": dW1, …}``, plain numbers, for every named
    leaf that requires a gradient; and a third dictionary, where `compile` was told what ``also``.
    What is not given keeps the numbers it had when it was recorded.
    `source` is the program as a text; constants too large to print are in `constants`.

    Arguments are only read. Every array returned is new and the caller's own: no later call changes
    it, and what is done to it changes no later call. What the program computes on the way is in
    working memory, which it keeps from call to call and never hands out.

    Raises GradError for an argument of another shape or dtype than was recorded, TypeError for one
    that the program does not have.
    """

    def __init__(
        self,
        arguments: Sequence[Argument | Scalars],
        source: str,
        make: Callable[[], Run],
        careful: Careful | None,
        story: str,
        constants: Sequence[Any] = (),
    ) -> None:
        self.source = source
        self.constants = list(constants)
        self._make = make
        self._careful = careful
        self._story = story
        self._arguments = arguments
        self._changed = [a for a in arguments if a.requires_grad and not a.handed_on]
        self._idle: list[Run] = []  # with working memory of their own

    def __repr__(self) -> str:
        return f"<program of {', '.join(a.name for a in self._arguments)}>"

    def _repr_html_(self) -> str:
        said = f"<p>{html.escape(f'{self!r}: {self.explain()}')}</p>"
        source = f"<summary>source</summary><pre>{html.escape(self.source)}</pre>"
        return f"{said}<details>{source}</details>"

    def explain(self) -> str:
        """What was done to the graph, in words."""
        return self._story

    def again(self) -> Any:
        """The same program with working memory of its own."""
        new = copy.copy(self)
        new._idle = []
        return new

    def forget(self) -> None:
        """Let go of the numbers of the recording: from now on every argument must be given."""
        for a in self._arguments:
            a.forget()

    def __call__(self, /, *unnamed: Any, **given: Any) -> Any:
        if unnamed:
            names = [name for a in self._arguments for name in a.names]
            raise only_named("program", unnamed[0], names)
        numbers = self._read(self._arguments, given)
        run = self._take()
        try:
            found = run(*numbers)
        finally:
            self._idle.append(run)
        if self._careful and self._careful.suspects(found[1]):
            found = found[0], self._careful.gradients(numbers), *found[2:]
        for a in self._changed:
            a.hand_out(found[1])
        if len(found) == 2:
            return plain(found[0]), found[1]
        return plain(found[0]), found[1], {key: plain(x) for key, x in found[2].items()}

    def _take(self) -> Run:
        """The lines, with working memory that no other call uses at the same time."""
        try:
            return self._idle.pop()
        except IndexError:
            return self._make()

    def _read(self, arguments: Sequence[Argument | Scalars], given: dict[str, Any]) -> list[Any]:
        """The numbers of some arguments, from what was given."""
        numbers = [a.read(given) for a in arguments]
        if given:  # each argument has taken out its own
            names = sorted(name for a in arguments for name in a.names)
            raise TypeError(
                f"the program has no argument {', '.join(given)}; it takes {', '.join(names)}"
            )
        return numbers
