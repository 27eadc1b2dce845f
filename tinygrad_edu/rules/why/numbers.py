"""Numbers on which every equation is tried before it is said: silence beats a false sentence."""

from __future__ import annotations

import warnings
from itertools import islice
from typing import Any

import numpy as np

from tinygrad_edu.rules.deriving import Deriving
from tinygrad_edu.rules.notation import evaluate
from tinygrad_edu.rules.referee import Referee
from tinygrad_edu.rules.trees import Tree
from tinygrad_edu.rules.why.roads import Roads

#: On so many draws an equation has to hold.
DRAWS = 3
TOLERANCE = 1e-8


class Numbers:
    """Draws of numbers for one derivation: what each name is on them, gradients by their names."""

    def __init__(self, work: Deriving, roads: Roads) -> None:
        self.named: list[dict[str, Any]] = []
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for sample in islice(Referee(work, []).usual_samples(), DRAWS):
                named = dict(sample.named)
                for node in work.nodes:
                    truth = sample.truth.get(node)
                    if node in work.name_of and truth is not None:
                        scale = work.m if roads.is_scaled(node) else 1
                        named[roads.names[node]] = np.asarray(truth) * scale
                self.named.append(named)

    def of(self, name: str) -> list[Any]:
        """What a name is on each draw."""
        return [named[name] for named in self.named]

    def same(self, x: Tree | str, y: Tree | str) -> bool:
        """Are two formulas (or what has a name) the same numbers on every draw?"""
        return bool(self.named) and all(self._same(x, y, named) for named in self.named)

    def _same(self, x: Tree | str, y: Tree | str, named: dict[str, Any]) -> bool:
        try:
            with np.errstate(all="ignore"):
                a, b = (
                    np.asarray(
                        named[t] if isinstance(t, str) else evaluate(t, lambda n: named[n.name]),
                        dtype=float,
                    )
                    for t in (x, y)
                )
                a, b = np.broadcast_arrays(a, b)
        except (KeyError, ValueError, TypeError):
            return False
        if not (np.all(np.isfinite(a)) and np.all(np.isfinite(b))):
            return False
        size = max(np.max(np.abs(a), initial=0), np.max(np.abs(b), initial=0))
        return bool(np.all(np.abs(a - b) <= TOLERANCE * size))
