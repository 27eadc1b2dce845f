"""Where can other numbers make every gradient right? Linear algebra on the record.

The results of one statement, at all its executions, are taken as unknowns; what is computed from
them is replayed. Behind the cost a backward pass is affine in them, so least squares tells whether
some numbers there repair the gradients that are wrong and leave the right ones right.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

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
    """Numbers at a statement that make the gradients right: x for x0, J their effect.

    `shapes`: of each of its results; another than it has where a gradient has the wrong one.
    `affine`: are the gradients affine in the numbers? If not, others may do as well.
    """

    nodes: list[Node]
    shapes: list[tuple[int, ...]]
    x0: Any
    x: Any
    jacobian: Any
    missing: Any
    affine: bool = True
    _ranges: dict[int, Any] = field(default_factory=dict)

    def repairs(self, values: Any) -> bool:
        """Would these numbers do?"""
        off = np.abs(self.jacobian @ (values - self.x)).max(initial=0)
        return bool(off <= 1e-6 * max(np.abs(self.missing).max(initial=0), 1e-9))

    @property
    def sizes(self) -> list[int]:
        """How many numbers each result has."""
        return [math.prod(shape) for shape in self.shapes]

    def may_begin(self, values: Any) -> bool:
        """Would these first numbers do, with some others after them?"""
        size = values.size
        off = self.out_of_reach(self.jacobian[:, :size] @ (values - self.x[:size]), size)
        return bool(np.abs(off).max(initial=0) <= 1e-6 * max(np.abs(self.missing).max(), 1e-9))

    def begun(self, results: Sequence[Sequence[Node]]) -> int:
        """Up to which number something must be another: to the end of the first such execution."""
        sizes = iter(self.sizes)
        ends = itertools.accumulate(sum(next(sizes) for _ in made) for made in results)
        largest = np.abs(self.missing).max(initial=0)
        for end in ends:
            if np.abs(self.out_of_reach(self.missing, end)).max(initial=0) > 1e-6 * largest:
                return end
        return int(self.x0.size)

    def out_of_reach(self, change: Any, size: int) -> Any:
        """The part of a change of the gradients that numbers after so many cannot undo."""
        if size not in self._ranges:
            u, s, _ = np.linalg.svd(self.jacobian[:, size:], full_matrices=False)
            self._ranges[size] = u[:, s > 1e-10 * max(s.max(initial=0), 1e-300)]
        reach = self._ranges[size]
        return change - reach @ (reach.T @ change)


@dataclass
class Effect:
    """What the gradients gain by additions to a statement's results, and what they lack.

    `whole`: the results themselves are asked for, since they have another shape.
    """

    shapes: list[tuple[int, ...]]
    jacobian: Any
    missing: Any
    whole: bool = False


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
        #: The statements whose results are what they hand over to a function of the learner's.
        self.hand_over: set[int] = set()
        self._used: dict[int, list[bool]] = {}
        for k, executions in runs.items():
            every = [self._results(made) for _, made in sorted(executions.items())]
            handed = [self._handed(k, made) for _, made in sorted(executions.items())]
            if any(handed) and all(n.places[0][0] != k for made in every for n in made):
                self.hand_over.add(k)
                every = handed
            self._used[k] = [bool(made) for made in every]
            if any(every):
                self.results[k] = [made for made in every if made]
            elif not any(n.number in study.forward for made in executions.values() for n in made):
                self.unused.append(k)

    def spread(self, k: int, parts: Sequence[Any]) -> list[Any]:
        """What belongs to the results of a statement, with None at executions that have none."""
        rest = iter(parts)
        return [next(rest, None) if used else None for used in self._used[k]]

    def _results(self, made: list[Node]) -> list[Node]:
        """Of what one execution computed, that which is used outside of it."""
        inside = {node.number for node in made}
        return [
            node for node in made
            if self._is_backward(node) and (
                node.number in self._final
                or any(user.number not in inside for user in self.users.get(node.number, ()))
            )
        ]  # fmt: skip

    def _handed(self, k: int, made: list[Node]) -> list[Node]:
        """Of what one execution computed, that which a function computes with that it calls."""
        inside = {node.number for node in made if node.places[0][0] != k}
        return [
            node for node in made
            if node.places[0][0] == k and self._is_backward(node) and any(nodes_in(node.args))
            and any(user.number in inside for user in self.users.get(node.number, ()))
        ]  # fmt: skip

    def _is_backward(self, node: Node) -> bool:
        live = node.number in self.live and node.number not in self.study.forward
        return live and node.is_float


def solve(
    sites: Sites, results: Sequence[Sequence[Node]], targets: Sequence[str],
    shapes: Mapping[int, tuple[int, ...]] | None = None,
) -> Any:  # fmt: skip
    """A `Solution`; False where there is none, None where it was too much to look for.

    `shapes`: what shape a result, by its number, should have instead of its own.
    """
    study = sites.study
    flat = [node for made in results for node in made]
    wanted = [(shapes or {}).get(node.number, node.value.shape) for node in flat]
    size = sum(map(math.prod, wanted))
    start = {node.number for node in flat}
    down = below(study.record, start, sites.live)
    reached = start | {node.number for node in down}
    finals = [study.gradient_nodes[name] for name in targets if name in study.gradient_nodes]
    if any(study.gradient_nodes[name].number not in reached for name in study.wrong
           if name in study.gradient_nodes and name in targets):  # fmt: skip
        return False
    if size > _UNKNOWNS or size * len(down) > _WORK:
        return None

    steps = [(node, _changing(node.args, reached)) for node in down]

    def run(x: Any) -> Any:
        env: dict[int, Any] = {}
        i = 0
        for node, shape in zip(flat, wanted):
            env[node.number] = x[i : i + math.prod(shape)].reshape(shape)
            i += math.prod(shape)
        for node, args in steps:
            env[node.number] = _unclipped(node, env, args)
        return np.concatenate([np.ravel(value_at(node, env)) for node in finals])

    goal = np.concatenate(
        [np.ravel(study.truth[name]) for name in targets if name in study.gradient_nodes]
    )
    x0 = np.concatenate([
        np.ravel(node.value if node.value.shape == shape else np.zeros(shape))
        for node, shape in zip(flat, wanted)
    ])  # fmt: skip
    with np.errstate(all="ignore"):
        x, jacobian, missing = _newton(run, x0, goal)
        if jacobian is None:
            return x
        affine = _is_affine(run, x0, goal - missing, jacobian)
    return Solution(flat, wanted, x0, x, jacobian, missing, affine)


class _Changing(NamedTuple):
    """An argument in which numbers change: what computes it."""

    fill: Callable[[dict[int, Any]], Any]


def _changing(args: Any, reached: set[int]) -> Any:
    """An argument filled in as far as its numbers stay; a `_Changing` where some do not."""
    if isinstance(args, Node):
        number = args.number
        return _Changing(lambda env: env[number]) if number in reached else args.value
    if type(args) is dict:
        keys = list(args)
        parts = _changing(list(args.values()), reached)
        if isinstance(parts, _Changing):
            return _Changing(lambda env: dict(zip(keys, parts.fill(env))))
        return dict(zip(keys, parts))
    if type(args) not in (list, tuple):
        return args
    kind, every = type(args), [_changing(part, reached) for part in args]
    if not any(isinstance(part, _Changing) for part in every):
        return kind(every)
    return _Changing(lambda env: kind([
        part.fill(env) if isinstance(part, _Changing) else part for part in every
    ]))  # fmt: skip


def _unclipped(node: Node, env: dict[int, Any], args: Any = None) -> Any:
    """A node's value; gradients that are clipped are taken as they were.

    `args`: its arguments, filled in as far as they stay.
    """
    if node.op[0] in ("function", "method") and node.op[1] in (np.clip, "clip"):
        return filled(next(iter(nodes_in(node.args))), env)
    if isinstance(args, _Changing) and node.function is not None:
        return node.function(*args.fill(env))
    return computed(node, env)


def _newton(run: Any, x0: Any, goal: Any) -> tuple[Any, Any, Any]:
    """One step, for what is affine; two more where it is not quite. x, J and what was missing."""
    x = x0
    start = run(x0)
    if start.shape != goal.shape:
        return False, None, None
    for _ in range(3):
        y = run(x)
        jacobian = np.array([run(x + unit) - y for unit in np.eye(x0.size)]).T
        missing = goal - y
        if not np.isfinite(jacobian).all() or not np.isfinite(missing).all():
            return None, None, None
        try:
            step = np.linalg.lstsq(jacobian, missing, rcond=1e-10)[0]
        except np.linalg.LinAlgError:
            return None, None, None
        if not np.isfinite(step).all() or not np.isfinite(x + step).all():
            return None, None, None
        if np.abs(jacobian @ step - missing).max() > 1e-5 * max(np.abs(missing).max(), 1e-12):
            return False, None, None
        x = x + step
        if np.abs(run(x) - goal).max() <= 1e-6 * max(1e-3, np.abs(goal).max()):
            return x, jacobian, goal - start
    return False, None, None


def _is_affine(run: Any, x0: Any, start: Any, jacobian: Any) -> bool:
    """Does J tell what any other step does, from x0 with its outcome `start`?"""
    step = np.random.default_rng(0).normal(size=x0.size)
    off = np.abs(run(x0 + step) - start - jacobian @ step).max(initial=0)
    return bool(off <= 1e-6 * np.abs(start).max(initial=1.0))


def narrowed(
    results: list[list[Node]], solution: Solution
) -> tuple[int | None, list[list[Node]], Solution]:
    """Where of several results of a statement only one must be another: which, it, and how."""
    count = len(results[0])
    if count == 1 or any(len(made) != count for made in results):
        return None, results, solution
    ends = list(itertools.accumulate(solution.sizes, initial=0))
    change = np.abs(solution.x - solution.x0)
    least = 1e-9 * change.max(initial=0)
    parts = {
        i % count for i, (a, b) in enumerate(itertools.pairwise(ends))
        if change[a:b].max(initial=0) > least
    }  # fmt: skip
    if len(parts) != 1:
        return None, results, solution
    (part,) = parts
    those = range(part, len(ends) - 1, count)
    columns = [c for i in those for c in range(ends[i], ends[i + 1])]
    return part, [[made[part]] for made in results], Solution(
        solution.nodes[part::count], solution.shapes[part::count], solution.x0[columns],
        solution.x[columns], solution.jacobian[:, columns], solution.missing, solution.affine,
    )  # fmt: skip


def feeds_itself(results: Sequence[Sequence[Node]]) -> bool:
    """Is a later result of a statement computed from an earlier one?"""
    every = [node for made in results for node in made]
    above = ancestors(parent for node in every for parent in nodes_in(node.args))
    return any(node.number in above for node in every)


def effects(
    sites: Sites, results: Sequence[Sequence[Node]], solution: Solution, which: int = 0
) -> Iterator[Effect]:
    """What additions to one result of a statement do: at all executions, or the first of them.

    Where later results are computed from earlier ones, so are the additions' effects. In a
    recurrence only the first that is missing is known before the statement is right.
    """
    numbers = [which + i * len(results[0]) for i in range(len(results))]
    ends = list(itertools.accumulate(solution.sizes, initial=0))
    columns = [c for n in numbers for c in range(ends[n], ends[n + 1])]
    shapes = [solution.shapes[n] for n in numbers]
    if any(node.value.shape != shape for node, shape in zip(solution.nodes, solution.shapes)):
        missing = solution.jacobian @ solution.x
        yield Effect(shapes, solution.jacobian[:, columns], missing, whole=True)
        return
    carried = _carried(sites, solution) if feeds_itself(results) else solution.jacobian
    yield Effect(shapes, carried[:, columns], solution.missing)
    begun = solution.begun(results)
    if begun < solution.x0.size:
        first = np.where(np.array(columns) < begun, 1.0, 0.0)
        jacobian = solution.out_of_reach(solution.jacobian[:, columns] * first, begun)
        yield Effect(shapes, jacobian, solution.out_of_reach(solution.missing, begun))


def _carried(sites: Sites, solution: Solution) -> Any:
    """The effect of additions on the gradients, through the statement's later results too."""
    study = sites.study
    own = {node.number for node in solution.nodes}
    after = [n for n in below(study.record, own, sites.live) if n.number not in own]
    order = sorted([*after, *solution.nodes], key=lambda node: node.number)
    finals = [study.gradient_nodes[name] for name in study.truth if name in study.gradient_nodes]

    def run(x: Any) -> Any:
        env: dict[int, Any] = {}
        i = 0
        for node in order:
            made = any(parent.number in env for parent in nodes_in(node.args))
            value = _unclipped(node, env) if made else node.value
            if node.number in own:
                value = value + x[i : i + node.value.size].reshape(node.value.shape)
                i += node.value.size
            env[node.number] = value
        return np.concatenate([np.ravel(value_at(node, env)) for node in finals])

    start = run(np.zeros(solution.x0.size))
    return np.array([run(unit) - start for unit in np.eye(solution.x0.size)]).T
