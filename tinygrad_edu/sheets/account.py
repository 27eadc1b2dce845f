"""What a stranger's sheet may cost: an account, charged before anything is made.

Work is counted, never clocked, so that what is said of a sheet does not depend on the machine: a
unit is about a nanosecond. Memory is counted in numbers that are kept at one time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_edu.core.value import Value

#: No array of a sheet has more entries or axes than this, no list in lists more depth.
MOST_ENTRIES = 2_000_000
MOST_AXES = 8
#: What reading a sheet may cost, with its forward lines computed once; judging its claims;
#: comparing them with central differences; seeking what is wrong with the wrong ones.
READING = 1_500_000_000
JUDGING = 3_000_000_000
DIAGNOSING = 4_000_000_000
COMPARING = 1_000_000_000
#: Corrections are sought by thousands of trials, so not among larger arrays than this.
LARGEST_SEARCHED = 100_000
#: Numbers kept at one time: 320 MB. A graph has a gradient for each, and those are wanted at two
#: points at least.
MOST_KEPT = 40_000_000
MOST_IN_GRAPH = 6_000_000
#: What any operation costs besides its numbers, and any object besides its own.
OPERATION = 5_000
#: What a character costs to be read.
CHARACTER = 10_000
OBJECT = 60


class TooMuch(Exception):
    """An account is used up. No ValueError: whoever tries something and goes on must not."""

    def __init__(self) -> None:
        super().__init__("with this line the sheet computes more than a sheet may, or keeps more")


class Account:
    """The work and memory that may still be asked for.

    `most`: the entries a single array may have; larger ones are an error of their formula alone.
    """

    def __init__(self, work: float, most: int = MOST_ENTRIES) -> None:
        self.whole = self.left = float(work)
        self.most = most
        self.kept = 0  # numbers kept now

    def charge(self, entries: int, each: float = 1.0) -> None:
        """Account for an operation that fills or reads `entries` numbers at a cost of `each`.

        Raises TooMuch where the account is used up, ValueError for a single array too large.
        """
        if entries > self.most:
            raise ValueError(f"an array of {entries} entries is larger than a sheet may make")
        self.left -= OPERATION + entries * each
        if self.left < 0:
            raise TooMuch

    def spend(self, work: float) -> None:
        """Account for work that makes no array."""
        self.left -= work
        if self.left < 0:
            raise TooMuch

    def allow(self, work: float) -> None:
        """A further task may cost so much."""
        self.left += work

    def keep(self, entries: int) -> None:
        """Account for an object of so many numbers that stays."""
        self.kept += OBJECT + entries
        if self.kept > MOST_KEPT:
            raise TooMuch

    @property
    def ample(self) -> bool:
        """Is more than half left: may there be more than what has to be?"""
        return self.left > self.whole / 2 and self.kept < MOST_KEPT / 2


def shape_of(x: Any) -> tuple[int, ...]:
    """The shape of a number, array, Value, or list of them."""
    return x.shape if isinstance(x, (Value, np.ndarray)) else np.shape(x)


def entries_of(x: Any) -> int:
    """How many numbers something holds, lists in lists with all of theirs.

    Raises ValueError for lists in more lists than an array has axes.
    """
    if isinstance(x, (np.ndarray, Value)):
        return x.size
    if isinstance(x, dict):
        return 1 + sum(map(entries_of, x.values()))
    return _listed(x, {})[0] if isinstance(x, (list, tuple)) else 1


def _listed(x: Sequence[Any], seen: dict[int, tuple[int, int]]) -> tuple[int, int]:
    """The entries of a list, itself counted, and how deep it is; a shared part is walked once."""
    if id(x) not in seen:
        entries, depth = 1, 0
        for part in x:
            more, below = _listed(part, seen) if isinstance(part, (list, tuple)) else (
                entries_of(part), 0
            )  # fmt: skip
            entries, depth = entries + more, max(depth, below)
        if depth >= MOST_AXES:
            raise ValueError(f"lists in more than {MOST_AXES} lists are more than a sheet may use")
        seen[id(x)] = entries, depth + 1
    return seen[id(x)]


def broadcast(args: Sequence[Any]) -> int:
    """How many entries the result of an operation entry by entry has."""
    shapes = [shape_of(a) for a in args if isinstance(a, (Value, np.ndarray, list, tuple))]
    try:
        return math.prod(np.broadcast_shapes(*shapes))
    except ValueError:
        return 0  # the operation itself says so, in better words


def product(x: Any, y: Any) -> tuple[int, float]:
    """The entries of a matrix product, and what each costs."""
    a, b = shape_of(x), shape_of(y)
    inner = max(a[-1], 1) if a and b else 1
    return math.prod(a) // inner * (math.prod(b) // inner), 1 + inner / 4


def indexed(shape: tuple[int, ...], index: Any) -> int:
    """How many entries an array of this shape has at an index, computed without any array.

    Index arrays are broadcast together; what they leave of the shape a single index shows.
    """
    parts = index if isinstance(index, tuple) else (index,)
    single: list[Any] = []
    shapes: list[tuple[int, ...]] = []
    for part in parts:
        if not isinstance(part, np.ndarray):
            single.append(part)
        elif part.dtype == bool:
            single.extend([0] * part.ndim or [None])
            shapes.append((int(np.count_nonzero(part)),))
        else:
            single.append(0)
            shapes.append(part.shape)
    try:
        rest = np.broadcast_to(np.float64(0), shape)[tuple(single)]  # no memory of its own
        return int(rest.size) * math.prod(np.broadcast_shapes(*shapes))
    except (ValueError, IndexError):
        return 0  # indexing itself says so, in better words
