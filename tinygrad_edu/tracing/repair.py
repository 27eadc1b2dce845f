"""Where can other numbers make every gradient right? Linear algebra on the record.

The results of one statement, at all its executions, are taken as unknowns; what is computed from
them is replayed. Behind the cost a backward pass is affine in them, so least squares tells whether
some numbers there repair the gradients that are wrong and leave the right ones right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_edu.tracing.record import (
    Node,
    ancestors,
    below,
    computed,
    filled,
    nodes_in,
    value_at,
)
from tinygrad_edu.tracing.study import Study

#: More unknowns, or more work, are not solved for: edits are tried all the same.
_UNKNOWNS = 600
_WORK = 120_000


@dataclass
class Solution:
    """Numbers at a statement that make the gradients right: x for x0, J their effect."""

    nodes: list[Node]
    x0: Any
    x: Any
    jacobian: Any
    missing: Any
    _ranges: dict[int, Any] = field(default_factory=dict)

    def repairs(self, values: Any) -> bool:
        """Would these numbers do?"""
        off = np.abs(self.jacobian @ (values - self.x)).max(initial=0)
        return bool(off <= 1e-6 * max(np.abs(self.missing).max(initial=0), 1e-9))

    def may_begin(self, values: Any) -> bool:
        """Would these first numbers do, with some others after them?"""
        size = values.size
        left = self.jacobian[:, :size] @ (values - self.x[:size])
        off = left - self._range(size) @ (self._range(size).T @ left)
        return bool(np.abs(off).max(initial=0) <= 1e-6 * max(np.abs(self.missing).max(), 1e-9))

    def _range(self, size: int) -> Any:
        """What the numbers after the first can reach: an orthonormal basis."""
        if size not in self._ranges:
            u, s, _ = np.linalg.svd(self.jacobian[:, size:], full_matrices=False)
            self._ranges[size] = u[:, s > 1e-10 * max(s.max(initial=0), 1e-300)]
        return self._ranges[size]


class Sites:
    """The statements of the backward pass: for each, the results of each of its executions."""

    def __init__(self, study: Study) -> None:
        self.study = study
        nodes = study.record.nodes
        self.users: dict[int, list[Node]] = {}
        for node in nodes:
            for parent in nodes_in(node.args):
                self.users.setdefault(parent.number, []).append(node)
        self.live = ancestors(study.gradient_nodes.values())
        self._final = {node.number for node in study.gradient_nodes.values()}
        runs: dict[int, dict[int, list[Node]]] = {}
        for node in nodes:
            for k, serial in node.places:
                runs.setdefault(k, {}).setdefault(serial, []).append(node)
        self.results: dict[int, list[list[Node]]] = {}
        self.unused: list[int] = []
        for k, executions in runs.items():
            results = [r for _, made in sorted(executions.items()) if (r := self._results(made))]
            if results:
                self.results[k] = results
            elif not any(n.number in study.forward for made in executions.values() for n in made):
                self.unused.append(k)

    def _results(self, made: list[Node]) -> list[Node]:
        """Of what one execution computed, that which is used outside of it."""
        inside = {node.number for node in made}
        return [
            node for node in made
            if node.number in self.live and node.number not in self.study.forward and node.is_float
            and (
                node.number in self._final
                or any(user.number not in inside for user in self.users.get(node.number, ()))
            )
        ]  # fmt: skip


def solve(sites: Sites, results: Sequence[Sequence[Node]], targets: Sequence[str]) -> Any:
    """A `Solution`; False where there is none, None where it was too much to look for."""
    study = sites.study
    flat = [node for made in results for node in made]
    size = sum(node.value.size for node in flat)
    start = {node.number for node in flat}
    down = below(study.record, start, sites.live)
    reached = start | {node.number for node in down}
    finals = [study.gradient_nodes[name] for name in targets if name in study.gradient_nodes]
    if any(study.gradient_nodes[name].number not in reached for name in study.wrong
           if name in study.gradient_nodes and name in targets):  # fmt: skip
        return False
    if size > _UNKNOWNS or size * len(down) > _WORK:
        return None

    def run(x: Any) -> Any:
        env: dict[int, Any] = {}
        i = 0
        for node in flat:
            env[node.number] = x[i : i + node.value.size].reshape(node.value.shape)
            i += node.value.size
        for node in down:
            if node.number not in env:
                env[node.number] = _unclipped(node, env)
        return np.concatenate([np.ravel(value_at(node, env)) for node in finals])

    goal = np.concatenate(
        [np.ravel(study.truth[name]) for name in targets if name in study.gradient_nodes]
    )
    x0 = np.concatenate([np.ravel(node.value) for node in flat])
    with np.errstate(all="ignore"):
        return _newton(run, flat, x0, goal)


def _unclipped(node: Node, env: dict[int, Any]) -> Any:
    """A node's value; gradients that are clipped are taken as they were."""
    if node.op[0] in ("function", "method") and node.op[1] in (np.clip, "clip"):
        return filled(next(iter(nodes_in(node.args))), env)
    return computed(node, env)


def _newton(run: Any, flat: list[Node], x0: Any, goal: Any) -> Any:
    """One step, for what is affine; two more where it is not quite."""
    x = x0
    start = run(x0)
    for _ in range(3):
        y = run(x)
        jacobian = np.array([run(x + unit) - y for unit in np.eye(x0.size)]).T
        missing = goal - y
        if not np.isfinite(jacobian).all() or not np.isfinite(missing).all():
            return None
        try:
            step = np.linalg.lstsq(jacobian, missing, rcond=1e-10)[0]
        except np.linalg.LinAlgError:
            return None
        if not np.isfinite(step).all() or not np.isfinite(x + step).all():
            return None
        if np.abs(jacobian @ step - missing).max() > 1e-5 * max(np.abs(missing).max(), 1e-12):
            return False
        x = x + step
        if np.abs(run(x) - goal).max() <= 1e-6 * max(1e-3, np.abs(goal).max()):
            return Solution(flat, x0, x, jacobian, goal - start)
    return False
