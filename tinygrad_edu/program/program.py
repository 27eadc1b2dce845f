"""A program: the callable that `compile` gives."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from tinygrad_edu.core.primitive import plain
from tinygrad_edu.program.arguments import Argument, Scalars
from tinygrad_edu.program.source import Listing

#: How many instances wait to be used again: more are in use only while gradients are collected.
_AT_REST = 4


class Instance:
    """The compiled lines with memory of their own, and whether anyone still looks at it."""

    def __init__(self, code: Any, listing: Listing) -> None:
        space: dict[str, Any] = {"constants": listing.constants, "__name__": "program"}
        # Our own text: every name in it was made or checked in `source`.
        exec(code, space)  # noqa: S102
        self.run = space.pop("program")  # it knows its space, the space need not know it
        arrays = [space[name] for name in listing.kept]
        arrays += [a.base for a in arrays if a.base is not None]
        self._watched = list({id(a): a for a in arrays}.values())
        del arrays
        self._alone = self._references()

    def _references(self) -> list[int]:
        return list(map(sys.getrefcount, self._watched))

    def free(self) -> bool:
        """Has everybody let go of the gradients of the last call?"""
        return self._references() == self._alone


class Program:
    """A recorded graph and its backward pass as straight-line NumPy, for new numbers.

    ``program(W1=…, X=…)`` returns the cost and ``{"W1": dW1, …}``, plain numbers, for every named
    leaf that requires a gradient; and a third dictionary, where `compile` was told what ``also``.
    What is not given keeps the numbers it had when it was recorded.
    `source` is the program as a text; constants too large to print are in `constants`. Arguments
    are only read. The arrays returned are memory that the program uses again once nobody holds them
    (or a view of them) any more: keep them as long as you like.

    Raises GradError for an argument of another shape or dtype than was recorded, TypeError for one
    that the program does not have.
    """

    def __init__(
        self,
        arguments: Sequence[Argument | Scalars],
        source: str,
        make: Callable[[], Any],
        story: str,
        constants: Sequence[Any] = (),
    ) -> None:
        self.source = source
        self.constants = list(constants)
        self._make = make
        self._story = story
        self._arguments = arguments
        self._changed = [a for a in arguments if a.requires_grad and not a.handed_on]
        self._idle = [make()]

    def __repr__(self) -> str:
        return f"<program of {', '.join(a.name for a in self._arguments)}>"

    def explain(self) -> str:
        """What was done to the graph, in words."""
        return self._story

    def forget(self) -> None:
        """Let go of the numbers of the recording: from now on every argument must be given."""
        for a in self._arguments:
            a.forget()

    def __call__(self, /, **given: Any) -> tuple[Any, ...]:
        numbers = [a.read(given) for a in self._arguments]
        if given:  # each argument has taken out its own
            names = sorted(name for a in self._arguments for name in a.names)
            raise TypeError(
                f"the program has no argument {', '.join(given)}; it takes {', '.join(names)}"
            )
        instance = self._instance()
        try:
            found = instance.run(*numbers)
        finally:
            self._idle.append(instance)
            if len(self._idle) > _AT_REST:  # its gradients live on with whoever holds them
                self._idle.pop(0)
        for a in self._changed:
            a.hand_out(found[1])
        if len(found) == 2:
            return plain(found[0]), found[1]
        return plain(found[0]), found[1], {key: plain(x) for key, x in found[2].items()}

    def _instance(self) -> Any:
        """Lines whose memory nobody looks at; no two threads are given the same."""
        for _ in range(len(self._idle)):
            try:
                instance = self._idle.pop()
            except IndexError:  # another thread was faster
                break
            if instance.free():
                return instance
            self._idle.insert(0, instance)
        return self._make()
