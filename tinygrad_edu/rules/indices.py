"""Indices that know how they are written, and what picking one entry a row means."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from tinygrad_edu.core.options import Described
from tinygrad_edu.core.primitive import Primitive, Shape

#: What numbers the places of an axis: ``np.arange(m)``, ``range(len(y))``, also as a column.
RANGE = re.compile(
    r"(np\.)?a?range\((0, )?[^(),]*(\([^(),]*\))?\)(\[[:, None]*\]|\.reshape\([^()]*\))?"
)


#: One-hot labels as they are written.
OF_LABELS = re.compile(r"np\.eye\(\w+\)\[(?P<columns>:, )?(?P<labels>[^\W\d]\w*)\]")


class WholeNumber(Described, int):
    """An index that is one whole number with a formula: ``c``, ``k - 1``."""

    text: str

    def __new__(cls, n: int, text: str) -> WholeNumber:
        number = super().__new__(cls, n)
        number.text = text
        return number


class WholeNumbers(Described, np.ndarray):
    """An index of whole numbers or a mask with a formula: ``y``, ``np.arange(m)``.

    `named`: whether that is the user's; what has no name is called so in a function alone. Where
    it is a range, `size` is the length that it runs through.
    """

    text: str
    named: bool
    size_of: Any

    def __array_finalize__(self, of: Any) -> None:
        self.text, self.named, self.size_of = "", False, None


def described(array: Any, text: str, named: bool = True, size_of: Any = None) -> WholeNumbers:
    """An array that knows how it is written."""
    found = np.array(array).view(WholeNumbers)
    found.text, found.named, found.size_of = text, named, size_of
    found.setflags(write=False)
    return found


def parts_of(index: Any) -> tuple[Any, ...]:
    """The parts of an index, one for most axes."""
    return index if isinstance(index, tuple) else (index,)


def is_whole(part: Any) -> bool:
    """Is a part of an index ``:``?"""
    return isinstance(part, slice) and part.start is part.stop is None and part.step in (None, 1)


def is_new_or_whole(part: Any) -> bool:
    """Does a part of an index pick nothing: ``:``, ``None``, ``...``?"""
    return part is None or part is Ellipsis or is_whole(part)


def is_basic(index: Any) -> bool:
    """Does an index pick by numbers and slices only, each entry at most once?"""
    return all(
        part is None or part is Ellipsis or isinstance(part, slice)
        or (isinstance(part, int) and not isinstance(part, bool))
        for part in parts_of(index)
    )  # fmt: skip


def picked(index: Any, shape: Shape) -> tuple[int, Any] | None:
    """Where one entry of each row is picked: along which axis, and by which numbers.

    ``P[np.arange(m), y]`` picks along axis 1 by y, ``P[y, np.arange(m)]`` along axis 0.

    >>> axis, numbers = picked((np.arange(3), np.array([1, 0, 1])), (3, 2))
    >>> axis, numbers.tolist()
    (1, [1, 0, 1])
    """
    parts = parts_of(index)
    if len(parts) != len(shape):
        return None
    if len(parts) == 1:
        return (0, parts[0]) if isinstance(parts[0], WholeNumber) else None
    if not all(isinstance(part, np.ndarray) and part.dtype.kind in "iu" for part in parts):
        return None
    fits = [axis for axis in range(len(parts)) if _picks_along(axis, parts, shape)]
    if len(fits) > 1:  # labels that are 0, 1, 2 … here: ranges are told by how they are written
        fits = [axis for axis in fits if not _is_range(parts[axis])]
    fits = [
        axis for axis in fits if not any(_is_labels(p) for p in parts[:axis] + parts[axis + 1 :])
    ]
    if len(fits) != 1 or fits[0] not in (0, len(shape) - 1):
        return None
    return fits[0], parts[fits[0]]


def is_diagonal(index: Any, shape: Shape) -> bool:
    """Does an index take the diagonal of a square matrix: ``A[i, i]`` for i from 0 to its end?"""
    parts = parts_of(index)
    if len(shape) != 2 or len(parts) != 2 or not all(isinstance(p, np.ndarray) for p in parts):
        return False
    row, column = parts
    same = getattr(row, "text", "") == getattr(column, "text", "") and shape[0] == shape[1]
    return same and all(np.array_equal(part, np.arange(shape[0])) for part in parts)


def _picks_along(axis: int, parts: tuple[Any, ...], shape: Shape) -> bool:
    """Do all other parts number the places of their own axes?"""
    rest = tuple(int(n) for i, n in enumerate(shape) if i != axis)
    if parts[axis].shape != rest or np.broadcast_shapes(*(p.shape for p in parts)) != rest:
        return False
    others = [part for i, part in enumerate(parts) if i != axis]
    return all(
        np.array_equal(np.broadcast_to(part, rest), place)
        for part, place in zip(others, np.indices(rest))
    )


def _is_range(part: Any) -> bool:
    return isinstance(part, WholeNumbers) and bool(RANGE.fullmatch(part.text))


def _is_labels(part: Any) -> bool:
    """Is a part of which the formula is known no range?"""
    return isinstance(part, WholeNumbers) and part.named and not _is_range(part)


def picks_once(index: Any) -> bool:
    """Is no entry picked twice, whatever the numbers? By numbers, slices, and one mask."""
    return is_basic(index) or (isinstance(index, np.ndarray) and index.dtype == bool)


def without_new_axes(index: Any, ndim: int) -> tuple[Any, ...] | None:
    """An index of numbers and slices without its ``None``; None where there is none in it."""
    parts = parts_of(index)
    if not is_basic(index) or not any(part is None for part in parts):
        return None
    return tuple(part for part in parts if part is not None)


def put_in(index: Any, shape: Shape) -> Shape:
    """The shape that an index gives, from that which it gives without its ``None``.

    >>> put_in((slice(None), None), (3, 4))
    (3, 1, 4)
    """
    parts, taken = list(parts_of(index)), list(shape)
    if Ellipsis not in parts:  # no arrays are among them
        parts.append(Ellipsis)
    at = parts.index(Ellipsis)
    before = _axes(parts[:at], taken)
    after = [1 if part is None else 0 for part in parts[at + 1 :] if not isinstance(part, int)]
    at = len(taken) - (len(after) - sum(after))
    middle, tail = taken[:at], taken[at:]
    return (*before, *middle, *(1 if new else tail.pop(0) for new in after))


def _axes(parts: list[Any], taken: list[int]) -> list[int]:
    return [1 if p is None else taken.pop(0) for p in parts if not isinstance(p, int)]


def _one_hot(n: Any, index: Any) -> Any:
    return np.eye(n)[index]


#: The rows (or columns) of the identity matrix that labels pick.
ONE_HOT = Primitive(
    _one_hot, (), shape=lambda *, n, index: np.shape(np.broadcast_to(0.0, (n, n))[index]),
    numpy="np.eye({n})[{index}]", latex=r"I_{{[{index}]}}",
)  # fmt: skip
ONE_HOT.name = "one_hot"


def _eye(n: Any) -> Any:
    return np.eye(n)


#: The identity matrix.
EYE = Primitive(_eye, (), shape=lambda *, n: (n, n), numpy="np.eye({n})", latex="I")
EYE.name = "eye"


def _diag(x: Any) -> Any:
    return np.diag(x)


#: The diagonal of a matrix; the matrix with a vector there, which to the algebra is a column times
#: the identity matrix.
DIAG = Primitive(
    _diag, (None,), shape=lambda x: x[:1] if len(x) == 2 else (*x, *x), traits={"linear", "exact"},
    numpy="np.diag({0})", latex=r"\operatorname{{diag}}\left({0}\right)",
)  # fmt: skip
DIAG.name = "diag"


def within(index: Any, shape: Shape, large: Shape) -> Any:
    """An index of something of this shape as one of what it broadcasts to along new axes in front;
    None where it broadcasts in another way.

    >>> within(slice(1, None), (3,), (2, 3))
    (Ellipsis, slice(1, None, None))
    """
    if tuple(shape) == tuple(large):
        return index
    parts = parts_of(index)
    if tuple(large[len(large) - len(shape) :]) != tuple(shape) or _has_ellipsis(parts):
        return None
    rest = (slice(None),) * (len(shape) - len(parts))
    return (Ellipsis, *parts, *rest)


def _has_ellipsis(parts: tuple[Any, ...]) -> bool:
    return any(part is Ellipsis for part in parts)


def slice_of(index: Any, shape: Shape) -> tuple[int, int, int] | None:
    """The axis that an index takes a slice of, and from where to where; all others are whole."""
    parts = parts_of(index)
    if any(part is Ellipsis or not isinstance(part, slice) for part in parts):
        return None
    cut = [i for i, part in enumerate(parts) if not is_whole(part)]
    if len(cut) != 1 or parts[cut[0]].step not in (None, 1):
        return None
    start, stop, _ = parts[cut[0]].indices(int(shape[cut[0]]))
    return cut[0], start, stop
