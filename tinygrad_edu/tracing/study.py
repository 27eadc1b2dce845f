"""A run looked at: recorded, replayed, its gradients judged by the truths of its record."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.tracing.parameters import (
    Parameters,
    Values,
    answer,
    as_numbers,
    entry_node,
    gradient_node,
)
from tinygrad_edu.tracing.record import Node, Record, ancestors, in_order, replay, value_at
from tinygrad_edu.tracing.truths import Truths
from tinygrad_edu.tracing.workspace import Source, Unit, Workspace
from tinygrad_edu.words import say

#: A gradient is right up to this share of its largest entry.
TOLERANCE = 1e-5
#: How far other numbers are: near, since a clipped gradient or a branch may depend on them.
NEAR = 0.05


def same(a: Any, b: Any, tolerance: float = TOLERANCE) -> bool:
    """Equal in shape, and in numbers as far as rounding goes."""
    if a is None or np.shape(a) != np.shape(b) or not np.isfinite(a).all():
        return False
    off = np.abs(np.asarray(a) - b).max(initial=0)
    return bool(off <= tolerance * max(1e-2, np.abs(b).max(initial=0)))


def wrong_among(gradients: Values, truths: Values, tolerance: float = TOLERANCE) -> list[str]:
    """The names of the gradients that are not the truth."""
    return [name for name in truths if not same(gradients.get(name), truths[name], tolerance)]


class Runner:
    """Plain runs of the learner's code: cost and gradients for numbers."""

    def __init__(self, workspace: Workspace, parameters: Parameters) -> None:
        self.workspace, self.parameters = workspace, parameters

    def outcome(self, values: Values) -> tuple[float, Values]:
        """Cost and gradients at some numbers."""
        handed, _ = self.parameters.handed(values)
        cost, gradients = answer(self.workspace.run(handed))
        found = {
            p.name: as_numbers(self.parameters.gradient(p, gradients)) for p in self.parameters.all
        }
        return float(np.squeeze(cost)), found

    def slope(self, values: Values, name: str, direction: Any, eps: float = 1e-5) -> float:
        """The central difference of the cost along a direction of one parameter."""
        ends = [
            self.outcome({**values, name: values[name] + step * direction})[0]
            for step in (eps, -eps)
        ]
        return (ends[0] - ends[1]) / (2 * eps)

    def right_elsewhere(self) -> bool:
        """Are the gradients right on two other sets of numbers, along a direction each?"""
        for seed in (1, 2):
            values = self.parameters.moved(seed, NEAR)
            _, gradients = self.outcome(values)
            random = np.random.default_rng(seed)
            for name, x in values.items():
                direction = random.normal(size=x.shape)
                told = gradients[name]
                if told is None or told.shape != x.shape:
                    return False
                along = float(np.sum(told * direction))
                if not any(
                    abs(self.slope(values, name, direction, eps) - along)
                    <= TOLERANCE * max(1e-2, abs(along))
                    for eps in (1e-5, 1e-4)  # the second where a cost is rounded, as log(1 - a)
                ):
                    return False
        return True


class Study:
    """One recorded run: nodes, statements, truths, and which gradients are wrong."""

    def __init__(
        self, source: Source, parameters: Parameters, values: Values, record: Record | None = None
    ) -> None:
        self.source = source
        self.record = record or Record()
        self.parameters, self.values = parameters, values
        workspace = Workspace(source, self.record)
        handed, self.roots = parameters.handed(values, self.record)
        with np.errstate(all="ignore"):
            cost, gradients = answer(workspace.run(handed))
        self.statements: list[tuple[Unit, Any]] = workspace.statements
        self.run_statements = {
            k for k, (unit, s) in enumerate(self.statements) if source.passes_on(unit, s)
        }
        told = {p.name: parameters.gradient(p, gradients) for p in parameters.all}
        self.gradient_nodes = {
            name: node for name, x in told.items()
            if (node := gradient_node(self.record, x)) is not None
        }  # fmt: skip
        self.gradients = {
            name: self.gradient_nodes[name].value if name in self.gradient_nodes else as_numbers(x)
            for name, x in told.items()
        }
        self.cost_node = entry_node(self.record, cost)
        self.cost = float(np.squeeze(np.asarray(cost)))

    def judge(self) -> None:
        """Find the truths, and the gradients that differ from them."""
        assert self.cost_node is not None
        self.forward = ancestors([self.cost_node])
        self.truths = Truths(self.cost_node, in_order(self.forward))
        self.truth = {
            name: self.truths.of.get(node.number, np.zeros(node.value.shape))
            for name, node in self.roots.items()
        }
        self.reaching = {name for name, n in self.roots.items() if n.number in self.forward}
        self.wrong = wrong_among(self.gradients, self.truth)

    def number_of(self, file: str, statement: Any) -> int | None:
        """Which statement of the record stands where `statement` does."""
        at = statement.lineno, statement.col_offset
        for k in reversed(range(len(self.statements))):  # a function in a function stands last
            unit, known = self.statements[k]
            if unit.file == file and (known.lineno, known.col_offset) == at:
                return k
        return None

    def line_of(self, node: Node) -> tuple[Unit, Any] | None:
        """The learner's innermost statement that made a node."""
        return self.statements[node.places[0][0]] if node.places else None


def unfollowed(study: Study, runner: Runner, source: Source) -> str | None:
    """Why the record is not what the code computes; None where it is.

    The record, replayed on numbers nearby, must give what the code gives there.
    """
    if study.cost_node is None:
        return say("code.not_recorded")
    step = {
        name: 1e-4 * np.random.default_rng(7).normal(size=np.shape(x))
        for name, x in study.values.items()
    }
    near = {name: x + step[name] for name, x in study.values.items()}
    cost, gradients = runner.outcome(near)
    env: dict[int, Any] = {study.roots[name].number: x for name, x in near.items()}
    with np.errstate(all="ignore"):
        replay(study.record.nodes, env)
    replayed = float(value_at(study.cost_node, env))
    if abs(replayed - cost) > 1e-9 * max(1, abs(cost)):
        return say("code.other_cost", where=_where(study, near, env, source))
    for name, node in study.gradient_nodes.items():
        told = gradients[name]
        got = value_at(node, env)
        if told is None or got.shape != told.shape or not np.allclose(got, told, 1e-6, 1e-9):
            where = _where(study, near, env, source)
            return say("code.other_gradient", name=name, where=where)
    back = {name: x - step[name] for name, x in study.values.items()}
    slope = (cost - runner.outcome(back)[0]) / 2
    study.judge()
    shares = np.concatenate([np.ravel(study.truth[name] * step[name]) for name in step])
    if abs(slope - shares.sum()) > 1e-5 * max(np.abs(shares).sum(), 1e-6):
        return say("code.other_derivative")
    return None


def _where(study: Study, near: Values, env: dict[int, Any], source: Source) -> str:
    """The first line at which a record of the other numbers is another."""
    try:
        other = Study(source, study.parameters, near)
    except Exception:
        return ""
    for node, again in zip(study.record.nodes, other.record.nodes):
        apart = node.op != again.op and node.op[0] != "function"
        value = value_at(node, env)
        if apart or value.shape != again.value.shape or not np.allclose(value, again.value, 1e-7):
            place = study.line_of(again)
            if place is not None:
                text = place[0].text.splitlines()[place[1].lineno - 1].strip()
                return say("code.first_at", line=place[1].lineno, text=repr(text))
    return ""
