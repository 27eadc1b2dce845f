"""Arguments checked against the signature: what a function says it takes is all that it takes.

`checked` reads the annotations that are there anyway. So a wrong argument is told at the door, with
the function, the argument and what was wanted, and not deep inside by whatever fails first.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import os
import types
import typing
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ParamSpec, TypeVar

import numpy as np

from tinygrad_edu.core.habits import hint_of_argument
from tinygrad_edu.core.primitive import GradError, Traced

P = ParamSpec("P")
R = TypeVar("R")
_MORE = inspect.Parameter.VAR_KEYWORD


@dataclasses.dataclass(frozen=True)
class Within:
    """Numbers from `low`, or `above` it only, to below `below`; nan is not among them."""

    low: float
    below: float = float("inf")
    above: bool = False

    def __contains__(self, x: Any) -> bool:
        return bool(self.low <= x < self.below) and not (self.above and x == self.low)

    def __str__(self) -> str:
        return f"{'above' if self.above else 'from'} {self.low:g}" + (
            f" to below {self.below:g}" if np.isfinite(self.below) else ""
        )


Natural = Annotated[int, Within(0)]
Count = Annotated[int, Within(1)]
Share = Annotated[float, Within(0, 1)]
#: A learning rate, a weight of a penalty: what would undo its purpose if it were negative.
Amount = Annotated[float, Within(0)]
Positive = Annotated[float, Within(0, above=True)]
#: How long one side of an array may be: far more than memory holds, far less than NumPy counts to.
Size = Annotated[int, Within(1, 2**31)]

_WORDS = {
    int: "a whole number", float: "a number", str: "a text", bool: "True or False",
    type(None): "None", Path: "a file's name", os.PathLike: "a file's name", tuple: "a tuple",
    Callable: "a function", Mapping: "a dictionary", Iterable: "a list", Sequence: "a list",
}  # fmt: skip


def checked(f: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function to refuse arguments that its annotations do not allow.

    Raises TypeError for the wrong kind; GradError for a number out of its range (`Within`) and for
    a text that can be no file's name.

    >>> @checked
    ... def repeated(text: str, times: Count = 2) -> str:
    ...     return text * times
    >>> repeated("ab", 0)
    Traceback (most recent call last):
    tinygrad_edu.core.primitive.GradError: repeated: times must be a whole number from 1, not 0
    """
    called = f.__qualname__.rpartition("<locals>.")[2]
    makes = called.endswith(".__init__")
    signature = inspect.signature(f)
    roles = {p.kind: key for key, p in signature.parameters.items()}
    many, more = roles.get(inspect.Parameter.VAR_POSITIONAL), roles.get(_MORE)

    @functools.wraps(f)
    def call(*args: P.args, **options: P.kwargs) -> R:
        name = type(args[0]).__name__ if makes else called  # a class says its name, not its base's
        try:
            given = signature.bind(*args, **options).arguments
        except TypeError as error:
            unknown = [key for key in options if key not in signature.parameters and not more]
            told = hint_of_argument(name, unknown[0], signature.parameters) if unknown else ""
            raise TypeError(f"{name}: {error}{told}") from None
        kinds = _kinds(f)
        for key, x in given.items():
            kind = kinds.get(key, Any)
            if key == many:
                for part in x:
                    _check_one_of_several(f"{name}: {key}", kind, part)
            elif key == more:
                for own, part in x.items():
                    check(f"{name}: {own}", kind, part)
            else:
                check(f"{name}: {key}", kind, x)
        return f(*args, **options)

    return call


def check_fields(made: Any) -> None:
    """`checked` for a dataclass: what its ``__post_init__`` calls."""
    cls: Any = type(made)
    for key, kind in _kinds(cls).items():
        if typing.get_origin(kind) is not typing.ClassVar:
            check(f"{cls.__name__}: {key}", kind, getattr(made, key))


@functools.cache
def _kinds(f: Hashable) -> dict[str, Any]:
    return typing.get_type_hints(f, include_extras=True)


def _check_one_of_several(what: str, kind: Any, x: Any) -> None:
    """`check` of what is given one after another; of a list of such it is said that they are."""
    if isinstance(x, (list, tuple)) and x and not _fits(kind, x) and all(_fits(kind, p) for p in x):
        raise TypeError(f"{what} are given one after another, without the brackets of {shown(x)}")
    check(what, kind, x)


def check(what: str, kind: Any, x: Any) -> None:
    """Raise an error that begins with `what` unless `x` is of a kind, as annotations write it."""
    if isinstance(x, _classes(kind)):
        return
    kinds = _alternatives(kind)
    # Lists, not generators: Ctrl-C is lost in a generator that `any` has left half-way.
    paths, fits = [_is_path(k) for k in kinds], [_fits(k, x) for k in kinds]
    if any(paths) and isinstance(x, (str, os.PathLike)):
        _check_path(what, x)
    if any(fits):
        return
    words = " or ".join(dict.fromkeys(map(_words, kinds)))
    # A number of the right kind out of its range is no mistake in types.
    near = [typing.get_origin(k) is Annotated and _fits(k.__origin__, x) for k in kinds]
    huge = isinstance(x, int) and float in kinds
    raise (GradError if any(near) or huge else TypeError)(f"{what} must be {words}, not {shown(x)}")


def _alternatives(kind: Any) -> tuple[Any, ...]:
    union = typing.get_origin(kind) in (typing.Union, types.UnionType)
    return typing.get_args(kind) if union else (kind,)


@functools.cache
def _classes(kind: Hashable) -> tuple[type, ...]:
    """Classes all of whose objects are of a kind: for them there is no more to look at."""
    kinds = _alternatives(kind)
    if any(map(_is_path, kinds)):
        return ()
    origins = [typing.get_origin(k) or k for k in kinds]
    return tuple(
        object if origin is Any else origin
        for origin in origins
        if origin is Any or (isinstance(origin, type) and not _is_looked_into(origin))
    )


def _is_looked_into(origin: Any) -> bool:
    """Has `_fits` more to say of a class than whether something is its instance?"""
    return origin in _FITTING or getattr(origin, "_is_protocol", False)


def _check_path(what: str, x: Any) -> None:
    try:
        if os.fspath(x) and b"\0" not in os.fsencode(x):
            return
    except UnicodeEncodeError:
        pass  # half a character
    raise GradError(f"{what}: {x!r:.60} can be no name of a file")


def _is_path(kind: Any) -> bool:
    return kind is Path or typing.get_origin(kind) is os.PathLike


def _fits(kind: Any, x: Any) -> bool:
    origin = typing.get_origin(kind) or kind
    if kind is Any or isinstance(kind, TypeVar):
        return True
    if origin is Annotated:
        return _fits(kind.__origin__, x) and x in kind.__metadata__[0]
    if getattr(origin, "_is_protocol", False):
        return callable(x)
    fitting = _FITTING.get(origin)
    return isinstance(x, origin) if fitting is None else fitting(kind, x)


def _is_float(kind: Any, x: Any) -> bool:
    try:
        return isinstance(x, (int, float, np.integer, np.floating)) and float(x) is not None
    except OverflowError:
        return False


def _is_tuple(kind: Any, x: Any) -> bool:
    sides = typing.get_args(kind)
    return isinstance(x, (tuple, list)) and (Ellipsis in sides or len(x) == len(sides))


def _is_iterable(kind: Any, x: Any) -> bool:
    return isinstance(x, (Iterable, np.ndarray)) and not isinstance(x, (str, bytes))


def _is_sequence(kind: Any, x: Any) -> bool:
    each = typing.get_args(kind)
    listed = isinstance(x, (Sequence, np.ndarray)) and not isinstance(x, (str, bytes))
    return listed and all(_fits(each[0], part) for part in (x if each else ()))


_FITTING: dict[Any, Callable[[Any, Any], bool]] = {
    int: lambda kind, x: isinstance(x, (int, np.integer)),
    float: _is_float,
    bool: lambda kind, x: isinstance(x, (bool, np.bool_)) or (type(x) is int and x in (0, 1)),
    tuple: _is_tuple,
    Callable: lambda kind, x: callable(x),
    Iterable: _is_iterable,
    Sequence: _is_sequence,
}


def _words(kind: Any) -> str:
    origin = typing.get_origin(kind) or kind
    if origin is Annotated:
        return f"{_words(kind.__origin__)} {kind.__metadata__[0]}"
    if getattr(origin, "_is_protocol", False):
        return "a function"
    name = origin.__name__
    return _WORDS.get(origin) or f"{'an' if name[0] in 'AEIOU' else 'a'} {name}"


def shown(x: Any) -> str:
    """A few words for anything, to put into an error.

    >>> shown(np.zeros((2, 3))), shown("abc")
    ('ndarray of shape (2, 3)', "'abc'")
    """
    if isinstance(x, (np.ndarray, Traced)):
        return f"{type(x).__name__} of shape {x.shape}"
    try:
        return f"{x!r:.60}"
    except Exception:  # an object that cannot even show itself; an integer of 5,000 digits
        return f"a {type(x).__name__}"
