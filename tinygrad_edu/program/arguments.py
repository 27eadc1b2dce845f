"""The arguments of a program: what was given by name, checked, in the form the program reads."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_edu.core.numbers import numbers
from tinygrad_edu.core.primitive import GradError, Shape, plain
from tinygrad_edu.core.value import Value


class Argument:
    """One array or number under one name."""

    def __init__(self, name: str, default: Any, requires_grad: bool) -> None:
        self.name = name
        self.shape: Shape = np.shape(default)
        self.dtype = np.asarray(default).dtype
        self.default = default
        self.size = int(np.size(default))
        self.requires_grad = requires_grad
        self.handed_on = bool(self.shape)  # is its gradient given out as the program computes it?

    @property
    def names(self) -> list[str]:
        """What a caller may give."""
        return [self.name]

    def read(self, given: dict[str, Any]) -> Any:
        """Its numbers, taken out of what was given; those of the recording if there are none.

        Raises GradError where shape or dtype differ, TypeError for what is not numbers.
        """
        x = given.pop(self.name, self)
        if type(x) is Value:
            x = x._data
        if type(x) is np.ndarray and x.shape == self.shape and x.dtype is self.dtype:
            return x if self.shape else self.check(x)
        if x is not self:
            return self.check(x)
        if self.default is None:
            raise TypeError(f"the program has forgotten {self.name}: it must be given")
        return self.default

    def forget(self) -> None:
        """Keep no numbers."""
        self.default = None

    def check(self, x: Any) -> Any:
        """`x` in the shape and dtype that were recorded."""
        data = numbers(x, what=self.name)
        found = np.asarray(data)
        if found.shape != self.shape:
            raise GradError(
                f"{self.name}: shape {found.shape} was given, the program was compiled for "
                f"{self.shape}. Shapes are fixed in a program: record and compile again"
            )
        if found.dtype != self.dtype and np.asarray(x).dtype.kind == "f" and hasattr(x, "dtype"):
            raise GradError(
                f"{self.name}: {found.dtype} was given, the program was compiled for {self.dtype}. "
                f"Pass {self.name}.astype(np.{self.dtype}), or record and compile again"
            )
        return plain(found.astype(self.dtype, copy=False))

    def hand_out(self, gradients: dict[str, Any]) -> None:
        """The gradient of a single number as callers see it: a float."""
        gradients[self.name] = plain(self.dtype.type(gradients[self.name]))


class Scalars:
    """Many single numbers, each under a name of its own, read as one array."""

    handed_on = False

    def __init__(self, key: str, parts: Sequence[Argument]) -> None:
        self.name = key
        self.names = [part.name for part in parts]
        self.requires_grad = parts[0].requires_grad
        self.shape: Shape = (len(parts),)
        self.dtype = np.array([part.default for part in parts]).dtype
        self._parts = parts
        self._pick = operator.itemgetter(*self.names, *self.names[:1])  # never a single one

    def read(self, given: dict[str, Any]) -> Any:
        """Their numbers as one array, those of the recording where there are none."""
        try:
            found = np.array(self._pick(given)[:-1])
            if found.dtype == np.float64 and found.shape == self.shape:
                if len(given) == len(self.names):
                    given.clear()
                else:
                    for name in self.names:
                        del given[name]
                return found
        except (KeyError, TypeError, ValueError):
            pass  # some are missing, or not plain floats
        return np.array([part.read(given) for part in self._parts])

    def forget(self) -> None:
        """Keep no numbers."""
        for part in self._parts:
            part.forget()

    def hand_out(self, gradients: dict[str, Any]) -> None:
        """A gradient for each name."""
        gradients.update(zip(self.names, gradients.pop(self.name).tolist()))


class Listed(Argument):
    """An argument that the program reads as a float, or as a list of floats."""

    def __init__(self, like: Argument) -> None:
        super().__init__(like.name, like.default, like.requires_grad)
        self.handed_on = False

    def read(self, given: dict[str, Any]) -> Any:
        """A float, or a list of them, row after row."""
        x = given.get(self.name)
        if type(x) is list and self.shape == (len(x),) and set(map(type, x)) == {float}:
            del given[self.name]
            return x if len(x) != 1 else x[0]
        x = super().read(given)
        if not self.shape:
            return x
        return x.ravel().tolist() if self.size != 1 else float(x.item())

    def hand_out(self, gradients: dict[str, Any]) -> None:
        """A float, or an array."""
        if not self.shape:
            super().hand_out(gradients)
        else:
            gradients[self.name] = np.reshape(np.array(gradients[self.name], float), self.shape)
