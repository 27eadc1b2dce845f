"""The numbers of a Value as users see them: an array that can be read and replaced, not written into.

A recorded graph keeps the numbers it was computed from, so its gradients stay right whatever
happens later. ``p.data -= step`` therefore makes a *new* array, and writing into the old one is an
error that names the node.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from tinygrad_edu.core.primitive import GradError


class ReadOnly(np.ndarray[Any, np.dtype[Any]]):
    """A read-only view; arithmetic on it gives plain arrays."""

    label: str = "this value"

    def __array_finalize__(self, obj: Any) -> None:
        self.label = getattr(obj, "label", "this value")

    def _refuse(self) -> NoReturn:
        raise GradError(
            f"the numbers of {self.label} cannot be written into: a recorded graph may still need "
            "them. Give it new ones (p.data = …, p.data -= …), or work on p.data.copy()"
        )

    def __setitem__(self, index: Any, value: Any) -> None:
        if not self.flags.writeable:
            self._refuse()
        super().__setitem__(index, value)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        for out in kwargs.get("out", ()):
            if isinstance(out, ReadOnly) and not out.flags.writeable:
                out._refuse()
        if method == "at" and isinstance(inputs[0], ReadOnly) and not inputs[0].flags.writeable:
            inputs[0]._refuse()
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


def _bare(x: Any) -> Any:
    return x.view(np.ndarray) if isinstance(x, ReadOnly) else x


def _writes(name: str) -> Callable[..., Any]:
    def method(self: ReadOnly, *args: Any, **kwargs: Any) -> Any:
        if not self.flags.writeable:
            self._refuse()
        return getattr(np.ndarray, name)(self, *args, **kwargs)

    method.__name__ = name
    return method


def _gives_new(name: str) -> Callable[[ReadOnly, Any], Any]:
    compute = getattr(operator, name)

    def method(self: ReadOnly, other: Any) -> Any:
        return compute(_bare(self), other)

    method.__name__ = name
    return method


for _name in ("fill", "itemset", "partition", "put", "resize", "setfield", "sort"):
    setattr(ReadOnly, _name, _writes(_name))
for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul"):
    setattr(ReadOnly, f"__i{_name}__", _gives_new(f"__{_name}__"))
