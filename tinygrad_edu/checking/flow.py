"""Gradients handed in as numbers: what the derived rules make of them further down."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu.checking.rounding import RUNS, SHARE, Noise, difference, relative_error, terms
from tinygrad_edu.checking.truth import TOLERANCE, Kinks, gradient_of, multiple_of
from tinygrad_edu.core.sweep import sweep
from tinygrad_edu.core.value import Value


@dataclass(frozen=True)
class Entry:
    """One entry of a comparison: `given` is taken for `factor` times the gradient of `node`.

    `from_truth` is what the entry gives when all above it are true; numbers read nothing.
    """

    node: Value
    factor: float
    given: Any
    from_truth: Any
    truth: Any

    @property
    def own(self) -> Any:
        """``∂J/∂node`` as handed in; None where it is no gradient of this node at all."""
        if self.given is None or np.shape(self.given) != self.node.shape:
            return None
        return self.given / self.factor if np.isfinite(self.given).all() else None

    def multiple(self, m: float | None) -> float | None:
        """The constant by which a computed quantity's gradient differs from the true one.

        None for m and 1/m, which are no slip made up for below: they are the other scale.
        """
        constant = None if self.node.op is None else multiple_of(self.given, self.truth)
        other_scale = (m, 1 / m) if m is not None and m > 1 else ()
        if constant is None or any(np.isclose(abs(constant), c) for c in other_scale):
            return None
        return constant


def own_gradients(entries: Mapping[str, Entry]) -> dict[Value, Any]:
    """``∂J/∂node`` as handed in, by node."""
    return {entry.node: entry.own for entry in entries.values() if entry.own is not None}


def gradients_with(
    cost: Value, own: Mapping[Value, Any], noise: Callable[[Any], Any] | None = None
) -> dict[Value, Any]:
    """``∂cost/∂node`` where the gradients of some nodes are replaced before they flow on.

    What is returned for those nodes themselves is not what they were replaced by. `noise` is
    applied to all that flows on.
    """
    found: dict[Value, Any] = {}

    def arrived(node: Value, dz: Any) -> Any:
        found[node] = dz
        dz = own.get(node, dz)
        return dz if noise is None else noise(dz)

    with np.errstate(all="ignore"):
        sweep(cost, np.ones(cost.shape) if cost.shape else 1.0, arrived=arrived)
    return found


class Flow:
    """What the derived rules make of gradients handed in, for the nodes further down."""

    def __init__(self, cost: Value, entries: Mapping[str, Entry]) -> None:
        self.cost, self.own = cost, own_gradients(entries)
        self.found = gradients_with(cost, self.own)
        self._noisy: list[dict[Value, Any]] = []

    def agrees(self, entry: Entry, kinks: Kinks) -> bool:
        """Is what was handed in what flows into its node, where that is not the truth?

        Entries on a kink apart.
        """
        node, factor = entry.node, entry.factor
        if np.shape(entry.given) != node.shape or node not in self.found:
            return False
        expected = factor * gradient_of(node, self.found)

        def size() -> Any:
            return abs(factor) * self._terms(node)

        if relative_error(difference(expected, entry.truth), entry.truth, size) <= TOLERANCE:
            return False
        apart = np.where(kinks.masks[node], 0.0, difference(entry.given, expected))
        share = TOLERANCE if np.asarray(entry.given).dtype == np.float32 else SHARE
        return relative_error(apart, expected, size, share) <= TOLERANCE

    def _terms(self, node: Value) -> Any:
        """The size of the terms that were added up to what flows into a node."""
        if not self._noisy:
            self._noisy = [gradients_with(self.cost, self.own, Noise(i)) for i in range(RUNS)]
        outcomes = [gradient_of(node, found) for found in self._noisy]
        return terms(outcomes, gradient_of(node, self.found))


def reads_others(formula: Any) -> bool:
    """Is an entry a function or a formula, computed from those above it, as numbers are not?"""
    return callable(formula) or isinstance(formula, str)
