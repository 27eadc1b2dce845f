"""Arrays that record: to the learner's code arrays like any other.

A view knows what it is a view of: what is written into either is seen by both, in the record too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.tracing.record import Node, Record

#: Questions about shapes and kinds, and those that integers answer: they decide, and have no slope.
_ASKED = frozenset(
    "shape ndim size array_repr array_str argmax argmin argsort result_type can_cast isclose "
    "allclose array_equal nonzero any all isfinite".split()
)
_METHODS = (
    "dot sum mean max min var std copy reshape transpose ravel flatten astype squeeze clip prod "
    "cumsum swapaxes repeat take round diagonal trace"
).split()


class _View(NamedTuple):
    parent: Recorded
    take: Callable[..., Any]
    args: tuple[Any, ...]
    seen: int


def plain(x: Any) -> Any:
    """`x` with every recording array in it as an ordinary one."""
    if isinstance(x, Recorded):
        return x.view(np.ndarray)
    if type(x) in (list, tuple):
        return type(x)([plain(part) for part in x])
    if type(x) is dict:
        return {key: plain(part) for key, part in x.items()}
    return x


def recorded_in(x: Any) -> Recorded | None:
    """A recording array in `x`, or None."""
    if isinstance(x, Recorded):
        return x
    if type(x) in (list, tuple):
        return next((found for part in x if (found := recorded_in(part)) is not None), None)
    return None


def nodes_of(x: Any) -> Any:
    """`x` as the record keeps it: nodes for recording arrays, copies of ordinary ones."""
    if isinstance(x, Recorded):
        return x.node
    if type(x) in (list, tuple):
        return type(x)([nodes_of(part) for part in x])
    if type(x) is dict:
        return {key: nodes_of(part) for key, part in x.items()}
    return x.copy() if isinstance(x, np.ndarray) else x


def put(x: Any, index: Any, value: Any) -> Any:
    """``x[index] = value``, as a new array."""
    x = np.array(x)
    x[index] = value
    return x


def get(x: Any, index: Any) -> Any:
    """``x[index]``."""
    return np.asarray(x)[index]


def _through(view: Callable[..., Any]) -> Callable[..., Any]:
    """What writing into a view makes of the array it is a view of."""

    def write(x: Any, args: Any, value: Any) -> Any:
        x = np.array(x)
        view(x, *args)[...] = value
        return x

    return write


def leaf(record: Record, value: Any) -> Recorded:
    """Numbers that come from outside, as an array that records."""
    made = np.array(value).view(Recorded)
    made._begin(record, Node(record, None, (), ("leaf",), np.array(value)))
    return made


def result(record: Record, value: Any, function: Callable[..., Any], args: Any, op: Any) -> Any:
    """The value of an operation, recorded; integers and strings stay as they are."""
    if isinstance(value, tuple):
        return tuple(
            result(record, part, lambda *a, i=i: function(*a)[i], args, ("part",))
            for i, part in enumerate(value)
        )
    if not isinstance(value, (np.ndarray, np.generic)):
        return value
    array = np.asarray(value)
    if array.dtype.kind not in "fb":
        return value
    made = array.view(Recorded)
    made._begin(record, Node(record, function, args, op, array.copy()))
    return made


class Recorded(np.ndarray):
    """An array whose operations are written down in a `Record`."""

    _record: Record
    _node: Node | None
    _view: _View | None
    _version: int

    def __array_finalize__(self, obj: Any) -> None:
        self._record = getattr(obj, "_record", None)  # type: ignore[assignment]
        self._node = self._view = None
        self._version = 0

    def _begin(self, record: Record, node: Node) -> None:
        self._record, self._node = record, node
        self._version += 1

    @property
    def node(self) -> Node:
        """Its present version in the record."""
        if self._view is not None:
            parent, take, args, seen = self._view
            if parent._age() != seen:
                op = ("get",) if take is get else ("view",)
                made = (parent.node, *nodes_of(args))
                self._node = Node(self._record, take, made, op, np.array(plain(self)))
                self._view = _View(parent, take, args, parent._age())
        if self._node is None:
            self._node = Node(self._record, None, (), ("leaf",), np.array(plain(self)))
        return self._node

    def _age(self) -> int:
        return self._version + (self._view.parent._age() if self._view else 0)

    def _written(self, function: Any, args: Any, op: Any, kind: str = "put") -> None:
        """It was written into: a new version, of what it is a view of too."""
        node = Node(self._record, function, args, op, np.array(plain(self)), kind)
        self._begin(self._record, node)
        if self._view is None:
            return
        parent, take, taken, _ = self._view
        if take is get:
            parent._written(put, (parent.node, *nodes_of(taken), node), ("put",))
        else:
            parent._written(_through(take), (parent.node, nodes_of(taken), node), ("through",))
        self._view = _View(parent, take, taken, parent._age())

    def _maybe_view(
        self, value: Any, function: Any, args: Any, op: Any, view: tuple[Any, Any, Any]
    ) -> Any:
        made = result(self._record, value, function, args, op)
        base, take, rest = view
        if (
            isinstance(made, Recorded) and isinstance(base, Recorded)
            and isinstance(value, np.ndarray) and np.may_share_memory(value, plain(base))
        ):  # fmt: skip
            node = made.node
            made = _viewed(value, node, _View(base, take, rest, base._age()))
        return made

    def __array_ufunc__(
        self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **options: Any
    ) -> Any:
        record = self._record
        args = (nodes_of(inputs), nodes_of(options))

        def function(given: Any, named: Any) -> Any:
            return getattr(ufunc, method)(*given, **named)

        if method == "at":
            ufunc.at(*plain(inputs))

            def added(given: Any, _: Any) -> Any:
                x = np.array(given[0])
                ufunc.at(x, *given[1:])
                return x

            inputs[0]._written(added, args, ("at", ufunc))
            return None
        kept = {"out": plain(out)} if out else {}
        value = getattr(ufunc, method)(*plain(inputs), **kept, **plain(options))
        op = ("ufunc", ufunc, method)
        if not out:
            return result(record, value, function, args, op)
        for target in out:
            if isinstance(target, Recorded):
                adds = ufunc in (np.add, np.subtract) and inputs[0] is target
                target._written(function, args, op, "add" if adds else "put")
        return out[0]

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if func.__name__ in _ASKED:
            return func(*plain(args), **plain(kwargs))
        record = self._record

        def function(given: Any, named: Any) -> Any:
            return func(*given, **named)

        out = kwargs.get("out")
        options = {key: x for key, x in kwargs.items() if key != "out"}
        noted = (nodes_of(args), nodes_of(options))
        value = func(*plain(args), **plain(kwargs))
        if out is not None:
            out._written(function, noted, ("function", func))
            return out
        if func.__name__ in ("zeros_like", "ones_like", "empty_like", "full_like"):
            return leaf(record, value) if np.asarray(value).dtype.kind == "f" else value
        if value is None:  # np.copyto and its like write into their first argument
            args[0]._written(_writing(func), noted, ("function", func))
            return None
        view = (args[0] if args else None, lambda x, *rest: func(x, *rest, **options), args[1:])
        return self._maybe_view(value, function, noted, ("function", func), view)

    def _call(self, name: str, args: Any, options: Any) -> Any:
        options.pop("out", None)
        value = getattr(plain(self), name)(*plain(args), **plain(options))
        noted = (self.node, nodes_of(args), nodes_of(options))

        def function(x: Any, given: Any, named: Any) -> Any:
            return getattr(np.asarray(x), name)(*given, **named)

        view = (self, lambda x, *rest: getattr(x, name)(*rest, **options), tuple(args))
        return self._maybe_view(value, function, noted, ("method", name), view)

    def __getitem__(self, index: Any) -> Any:
        value = plain(self)[plain(index)]
        made = result(self._record, value, get, (self.node, nodes_of(index)), ("get",))
        if isinstance(made, Recorded) and isinstance(value, np.ndarray) and value.base is not None:
            node = made.node
            made = _viewed(value, node, _View(self, get, (plain(index),), self._age()))
        return made

    def __setitem__(self, index: Any, value: Any) -> None:
        noted = (self.node, nodes_of(index), nodes_of(value))
        plain(self)[plain(index)] = plain(value)
        self._written(put, noted, ("put",))

    def fill(self, value: Any) -> None:
        """``x[...] = value``."""
        self[...] = value

    def item(self, *args: Any) -> Any:
        """The one number, recorded."""
        return self[args] if args else self.reshape(())

    def tolist(self) -> Any:
        """Nested lists of recorded numbers."""
        return [part.tolist() for part in self] if self.ndim else self

    @property
    def T(self) -> Any:
        """The transpose."""
        return self.transpose()

    @property
    def flat(self) -> Any:
        """All entries in a row, which can be written to where it is a view."""
        return self.reshape(-1)

    @flat.setter
    def flat(self, value: Any) -> None:
        self.reshape(-1)[...] = value

    # A number is not changed in place: `total += x` makes another one.
    def __iadd__(self, other: Any) -> Any:  # type: ignore[misc]
        return self + other if self.ndim == 0 else np.ndarray.__iadd__(self, other)

    def __isub__(self, other: Any) -> Any:  # type: ignore[misc]
        return self - other if self.ndim == 0 else np.ndarray.__isub__(self, other)

    def __imul__(self, other: Any) -> Any:  # type: ignore[misc]
        return self * other if self.ndim == 0 else np.ndarray.__imul__(self, other)

    def __itruediv__(self, other: Any) -> Any:  # type: ignore[misc]
        return self / other if self.ndim == 0 else np.ndarray.__itruediv__(self, other)

    def __round__(self, digits: int = 0) -> Any:
        return np.round(self, digits)

    def __float__(self) -> float:
        return float(plain(self))

    def __format__(self, spec: str) -> str:
        return format(plain(self)[()], spec)

    def __copy__(self) -> Any:
        return self.copy()

    def __deepcopy__(self, memo: Any) -> Any:
        return self.copy()

    def __hash__(self) -> int:  # type: ignore[override]
        return id(self)


def _viewed(value: Any, node: Node, view: _View) -> Recorded:
    made: Recorded = plain(value).view(Recorded)
    made._begin(view.parent._record, node)
    made._view = view
    return made


def _writing(func: Any) -> Callable[..., Any]:
    def function(given: Any, named: Any) -> Any:
        x = np.array(given[0])
        func(x, *given[1:], **named)
        return x

    return function


def _method(name: str) -> Any:
    def method(self: Recorded, *args: Any, **options: Any) -> Any:
        return self._call(name, args, options)

    return method


for _name in _METHODS:
    setattr(Recorded, _name, _method(_name))
