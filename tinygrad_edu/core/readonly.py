"""The numbers of a Value as users see them: to be read and replaced, not written into.

A recorded graph keeps the numbers it was computed from, so its gradients stay right whatever
happens later. ``p.data -= step`` therefore makes a *new* array, and writing into the old one is an
error that names the node.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
from numpy import ndarray

from tinygrad_edu.core.primitive import GradError, Traced


class ReadOnly(ndarray[Any, np.dtype[Any]]):
    """A read-only view; arithmetic on it gives plain arrays, ``-=`` a new read-only one."""

    __slots__ = ("label", "whole")

    label: str | None
    whole: ndarray[Any, Any]  # the plain array this is all of, which nobody changes

    def _refuse(self) -> NoReturn:
        label = getattr(self, "label", None) or "this value"
        raise GradError(
            f"the numbers of {label} cannot be written into: a recorded "
            "graph may still need them. Give it new ones (p.data = …, p.data -= …), or "
            "work on p.data.copy()"
        )

    def __getitem__(self, index: Any) -> Any:
        part = super().__getitem__(index)
        if isinstance(part, ReadOnly):
            part.label = getattr(self, "label", None)
        return part

    def __setitem__(self, index: Any, value: Any) -> None:
        if not self.flags.writeable:
            self._refuse()
        super().__setitem__(index, value)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        for target in (*kwargs.get("out", ()), *(inputs[:1] if method == "at" else ())):
            if isinstance(target, ReadOnly) and not target.flags.writeable:
                target._refuse()
        if "out" in kwargs:
            kwargs["out"] = tuple(_bare(out) for out in kwargs["out"])
        return getattr(ufunc, method)(*[_bare(x) for x in inputs], **kwargs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        try:
            result = super().__array_function__(func, types, args, kwargs)
        except ValueError as error:
            if "read-only" in str(error):
                self._refuse()
            raise
        return _bare(result) if isinstance(result, ReadOnly) and result.flags.writeable else result

    def copy(self, order: Any = "C") -> Any:
        """A plain array of one's own, to write into."""
        return np.array(self, order=order)

    def astype(self, *args: Any, **kwargs: Any) -> Any:
        """A plain array of another type."""
        return _bare(self).astype(*args, **kwargs)

    def __reduce__(self) -> Any:
        return self.copy().__reduce__()

    def __deepcopy__(self, memo: Any) -> Any:
        return self.copy()


def frozen(array: ndarray[Any, Any], label: str | None) -> ReadOnly:
    """An array that is read-only, as users see it: under the name an error would call it by."""
    view = array.view(ReadOnly)
    view.label = label
    view.whole = array
    return view


def _bare(x: Any) -> Any:
    if not isinstance(x, ReadOnly):
        return x
    try:
        return x.whole
    except AttributeError:  # a part of one
        return x.view(ndarray)


def _writes(name: str) -> Callable[..., Any]:
    def method(self: ReadOnly, *args: Any, **kwargs: Any) -> Any:
        if not self.flags.writeable:
            self._refuse()
        return getattr(ndarray, name)(self, *args, **kwargs)

    method.__name__ = name
    return method


def _makes_new(ufunc: Any) -> Callable[[ReadOnly, Any], Any]:
    def method(self: ReadOnly, other: Any) -> Any:
        if isinstance(other, Traced):
            label = getattr(self, "label", None) or "p"
            raise TypeError(
                f"the numbers of {label} are no graph: a Value cannot be put into them. Take its "
                f"numbers, as in {label}.data -= step.data, or {label}.data = step.data"
            )
        try:
            new = ufunc(self.whole, other)
        except AttributeError:  # a part of one
            new = ufunc(_bare(self), other)
        new.setflags(False)
        return frozen(new, getattr(self, "label", None))

    return method


for _name in ("fill", "partition", "put", "resize", "setfield", "sort"):
    setattr(ReadOnly, _name, _writes(_name))
for _name, _ufunc in {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "truediv": np.true_divide,
    "floordiv": np.floor_divide, "mod": np.remainder, "pow": np.power, "matmul": np.matmul,
}.items():  # fmt: skip
    setattr(ReadOnly, f"__i{_name}__", _makes_new(_ufunc))
