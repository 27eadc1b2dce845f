"""Data as arrays: kept with one example after another, so that a batch is gathered quickly."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.core.primitive import GradError, asarray
from tinygrad_edu.nn.initialise import Array
from tinygrad_edu.nn.network import Network


class Examples:
    """X and Y, in batches drawn anew for every epoch; the last of an epoch holds what is left over.

    >>> from tinygrad_edu.nn.layers import Dense
    >>> examples = Examples(Network(1, Dense(1)), np.arange(5.0)[None], np.zeros((1, 5)), 2)
    >>> [examples.given(chosen)[0].shape for chosen in examples.batches(0)]
    [(1, 2), (1, 2), (1, 1)]
    """

    def __init__(
        self, net: Network, X: Any, Y: Any, batch_size: int | None = None, seed: int = 0
    ) -> None:
        if Y is None:
            raise GradError("fit: Y is missing: fit(X, Y), or a function of the epoch alone")
        X, Y = asarray(X, "fit: X"), asarray(Y, "fit: Y")
        net.check_input(X.shape)
        self.net, self.seed = net, seed
        self._along = -2 if net.rows else -1
        self.m = X.shape[self._along]
        self._along_y = 0 if Y.ndim == 1 else self._along
        if self.m == 0 or Y.ndim == 0 or Y.shape[self._along_y] != self.m:
            raise GradError(
                f"fit: X of shape {X.shape} holds {self.m} examples, one per "
                f"{'row' if net.rows else 'column'}; Y of shape {Y.shape} does not hold as many, "
                "or there are none"
            )
        if batch_size is not None and batch_size < 1:
            raise GradError(f"fit: batch_size is a number of examples from 1, not {batch_size}")
        self.size = min(batch_size or self.m, self.m)
        self.steps = -(-self.m // self.size)  # in an epoch
        self._X, self._Y = X, Y
        if self.size < self.m:
            # A column's numbers lie m apart; kept as rows, an example's lie side by side.
            self._rows = _in_order(np.moveaxis(X, self._along, 0))
            self._rows_of_Y = _in_order(np.moveaxis(Y, self._along_y, 0))
        self._prepared: tuple[Array, Array, Array | None] | None = None
        self._gathered: dict[int, tuple[Array, ...]] = {}  # memory for so many examples

    def batches(self, epoch: int) -> list[Array | None]:
        """Which examples, batch after batch; None for all of them, in the order given."""
        if self.size == self.m:
            return [None]
        order = np.random.default_rng([self.seed, 0, epoch]).permutation(self.m)
        return [order[start : start + self.size] for start in range(0, self.m, self.size)]

    def given(self, chosen: Array | None) -> tuple[Array, Array]:
        """X and Y of the examples chosen, as they were given."""
        if chosen is None:
            return self._X, self._Y
        x, y = self._rows.take(chosen, 0), self._rows_of_Y.take(chosen, 0)
        return np.moveaxis(x, 0, self._along), np.moveaxis(y, 0, self._along_y)

    def ready(
        self, chosen: Array | None, output: tuple[int, ...]
    ) -> tuple[Array, Array, Array | None]:
        """X and Y of the examples chosen as a program takes them, Y in the shape of the `output`;
        and their classes, if the network has any. In memory that the next call may write again.
        """
        if self._prepared is None:
            self._prepared = self._prepare(output)
        X, Y, classes = self._prepared
        if chosen is None:
            return X, Y, classes
        m = len(chosen)
        if m not in self._gathered:
            rows, target = np.empty((m, *X.shape[1:]), X.dtype), np.empty_like(Y[:m])
            x = np.moveaxis(rows, 0, self._along)
            y = target if self.net.axis else np.empty(target.T.shape, target.dtype)
            self._gathered[m] = rows, target, x, y
        rows, target, x, y = self._gathered[m]
        X.take(chosen, 0, rows, "clip")
        Y.take(chosen, 0, target, "clip")
        if y is not target:
            y[...] = target.T  # in the order of the logits: elementwise that is faster than a look
        return x, y, None if classes is None else classes.take(chosen)

    def _prepare(self, output: tuple[int, ...]) -> tuple[Array, Array, Array | None]:
        """All examples so: side by side along the first axis, if there are batches to be taken."""
        net, along = self.net, 1 - self.net.axis
        shape = tuple(self.m if axis == along else n for axis, n in enumerate(output))
        X = self._X if self._X.dtype.kind == "f" else self._X.astype(float)
        Y = np.asarray(net.target(self._Y, shape, X.dtype)._data)
        classes = net.classes_in(self._Y, shape) if net.classifies else None
        if self.size < self.m:
            X = self._rows.astype(X.dtype, copy=False)
            Y = np.ascontiguousarray(np.moveaxis(Y, along, 0))
        return X, Y, classes


def _in_order(x: Array) -> Array:
    """The same numbers one after another in memory; itself where they lie so."""
    if x.ndim != 2 or x.flags.c_contiguous:
        return np.ascontiguousarray(x)
    new = np.empty(x.shape, x.dtype)
    for j in range(0, x.shape[1], 12):  # more rows read side by side push each other out
        new[:, j : j + 12] = x[:, j : j + 12]
    return new
