"""Which of the statements that could be repaired is the mistaken one: an order of suspicion.

A value that is a gradient of something is *certified*, and so is what it was made from. First come
statements that are not certified; of those the innermost, the ones a true gradient fits into, the
earliest.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu.tracing.record import Node, ancestors, below, computed, nodes_in, value_at
from tinygrad_edu.tracing.repair import Sites, Solution, narrowed, solve
from tinygrad_edu.tracing.study import Study

#: So many suspects, the first, are asked what they are computed from.
_FIRST = 4
#: Lengths up to this count as numbers of examples.
_LENGTH = 50


@dataclass
class Suspect:
    """A statement whose repair would make gradients right: all of them, or those named.

    `results`: of each of its executions, those that must be others; `part`: which, if only one.
    `sure`: each of them is a gradient of something as it is, and not so many times that.
    """

    statement: int
    results: list[list[Node]]
    soft: bool
    outer: bool
    fits: bool
    first: int
    empty: bool = False
    passes: bool = False
    sure: bool = False
    of: tuple[str, ...] = ()
    solution: Solution | None = None
    part: int | None = None

    @property
    def order(self) -> tuple[Any, ...]:
        """The most suspicious first.

        A start that nothing was added to comes before what only calls others.
        """
        own = not self.soft and not self.outer
        kind = 0 if own else 1 if self.empty else 2 if not self.soft else 3
        fits = self.fits or self.solution is None
        return (kind, self.passes, self.outer, self.sure, not fits, self.first)


class Certificates:
    """Which recorded values of the backward pass are gradients of something."""

    def __init__(self, study: Study, sites: Sites) -> None:
        self.study, self.sites = study, sites
        self.scales = self._scales()
        self._named, self._inner = self._truths()
        self.certified = self._certified()
        self._above = ancestors(study.record.nodes[number] for number in self.certified)
        self._answers: dict[int, bool] = {}

    def _scales(self) -> list[int]:
        lengths = {1}
        for node in self.study.record.nodes:
            if node.function is None:
                lengths |= {n for n in node.value.shape if 0 < n < _LENGTH}
        return sorted(lengths)

    def _truths(self) -> tuple[dict[int, Any], dict[int, Any]]:
        """The gradients of what statements made, and of what is inside of formulas, by size."""
        truths, nodes = self.study.truths, self.study.record.nodes
        roots = {node.number for node in self.study.roots.values()}
        named: dict[int, list[Any]] = {}
        inner: dict[int, list[Any]] = {}
        for number, value in truths.of.items():
            users = self.sites.users.get(number, ())
            outside = any(user.places[:1] != nodes[number].places[:1] for user in users)
            known = (nodes[number].function is not None and outside) or number in roots
            (named if known else inner).setdefault(value.size, []).append(np.ravel(value))
        for value in truths.of_use.values():
            inner.setdefault(value.size, []).append(np.ravel(value))
        return _unique(named), _unique(inner)

    def scale(self, value: Any) -> int | None:
        """The scale in which a value is a gradient of something, or None."""
        if value.size not in self._named | self._inner or not np.isfinite(value).all():
            return None
        flat, largest = np.ravel(value), np.abs(value).max(initial=0)
        if largest < 1e-9:
            return None

        def found(bank: dict[int, Any], of: Any, scale: int) -> bool:
            if value.size not in bank:
                return False
            off = np.abs(bank[value.size] * scale - of).max(axis=1)
            return bool((off <= 1e-6 * largest).any())

        scales = self.scales if value.size > 1 else [1]
        for scale in scales:
            if found(self._named, flat, scale):
                return scale
        for scale in scales:
            # Of -z in np.exp(-z) the gradient is -dZ, which for dZ is a wrong sign.
            if found(self._inner, flat, scale) and not found(self._named, -flat, scale):
                return scale
        return None

    def vouched(self, node: Node) -> bool:
        """Is a value certified, or does something certified change with it?"""
        if node.number in self.certified or node.number not in self._above:
            return node.number in self.certified
        if node.number not in self._answers:
            self._answers[node.number] = self._felt(node)
        return self._answers[node.number]

    def _felt(self, node: Node) -> bool:
        noise = np.random.default_rng(node.number).normal(size=node.value.shape)
        env: dict[int, Any] = {node.number: node.value + noise * (1e-3 + np.abs(node.value))}
        for later in below(self.study.record, {node.number}, self._above):
            env[later.number] = computed(later, env)
            if later.number in self.certified:
                change = np.abs(value_at(later, env) - later.value).max(initial=0)
                if not change <= 1e-9 * np.abs(later.value).max(initial=0):
                    return True
        return False

    def is_copy(self, node: Node) -> bool:
        return any(
            parent.number not in self.study.forward and parent.value.size == node.value.size
            and np.array_equal(np.ravel(parent.value), np.ravel(node.value))
            for parent in nodes_in(node.args)
        )  # fmt: skip

    def _certified(self) -> dict[int, int]:
        found = {}
        nodes = self.study.gradient_nodes
        mistaken = {nodes[name].number for name in self.study.wrong if name in nodes}
        for results in self.sites.results.values():
            for node in (node for made in results for node in made):
                scale = None if node.number in mistaken else self.scale(node.value)
                if scale is not None and not self.is_copy(node):
                    found[node.number] = scale
        usual: dict[int, int] = {}
        for number, scale in found.items():
            if self.study.record.nodes[number].value.size > 1:
                usual[scale] = usual.get(scale, 0) + 1
        self.kept = {1, max(usual, key=lambda scale: usual[scale], default=1)}
        return {number: scale for number, scale in found.items() if scale in self.kept}


def _unique(bank: dict[int, list[Any]]) -> dict[int, Any]:
    return {size: np.unique(np.round(np.array(some), 12), axis=0) for size, some in bank.items()}


def natural(study: Study) -> int:
    """How many gradients of something the results of a backward pass are, and what it adds up."""
    sites = Sites(study)
    certificates = Certificates(study, sites)
    every = [node for results in sites.results.values() for made in results for node in made]
    every += [
        part for k, results in sites.results.items()
        if isinstance(study.statements[k][1], ast.AugAssign)
        for made in results for node in made for part in _added(node)
    ]  # fmt: skip
    found = [(node.value, certificates.scale(node.value)) for node in every]
    return len({
        np.ravel(value / scale).round(9).tobytes() for value, scale in found
        if scale is not None and scale in certificates.kept
    })  # fmt: skip


def _added(node: Node) -> list[Node]:
    """What a statement that adds up has computed, to add it: it is at most two steps before."""
    sums = [node, *nodes_in(node.args)]
    return [part for x in sums for part in nodes_in(x.args) if part.places[:1] == node.places[:1]]


class Ranking:
    """The suspects of a study, the first the most suspicious; `alone` if one repair does it all."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self.sites = Sites(study)
        if study.run_statements.issuperset(self.sites.results):
            study.run_statements = set()  # all the code stands in run
        self.certificates = Certificates(study, self.sites)
        self._groups = _sequences(study)
        # A gradient of the wrong shape, or one that is not computed, cannot be solved for.
        self.shapeless = [
            name for name in study.wrong
            if name not in study.gradient_nodes
            or study.gradient_nodes[name].value.shape != study.truth[name].shape
        ]  # fmt: skip
        self.suspects = self._alone()
        self.alone = not all(suspect.passes for suspect in self.suspects)
        if not self.alone and not self.shapeless:
            self.suspects = self._cover() + self.suspects

    def _reaching(self) -> dict[int, list[list[Node]]]:
        wrong = [self.study.gradient_nodes[n] for n in self.study.wrong
                 if n in self.study.gradient_nodes]  # fmt: skip
        reach = ancestors(wrong)
        return {
            k: results for k, results in self.sites.results.items()
            if any(node.number in reach for made in results for node in made)
        }  # fmt: skip

    def _alone(self) -> list[Suspect]:
        suspects = []
        for k, results in self._reaching().items():
            if self.shapeless:
                solution = self._reshaped(results)
            else:
                solution = solve(self.sites, results, list(self.study.truth))
                if solution is False:
                    solution = self._widened(results)
                    if solution is None:
                        continue
            suspects.append(self._suspect(k, results, solution))
        return sorted(suspects, key=lambda suspect: suspect.order)

    def _widened(self, results: list[list[Node]]) -> Solution | None:
        """What is needed where one number has been spread by what it is used with."""
        node, *others = [node for made in results for node in made]
        if others or node.value.size > 1:
            return None
        users = self.sites.users.get(node.number, ())
        shapes = dict.fromkeys(user.value.shape for user in users if user.value.size > 1)
        every = (self._solved(results, {node.number: shape}) for shape in shapes)
        return next((found for found in every if found is not None), None)

    def _solved(
        self, results: list[list[Node]], shapes: dict[int, tuple[int, ...]]
    ) -> Solution | None:
        try:
            return solve(self.sites, results, list(self.study.truth), shapes) or None
        except Exception:  # what follows cannot be computed from another shape
            return None

    def _reshaped(self, results: list[list[Node]]) -> Solution | None:
        """What is needed where a gradient of the wrong shape is computed, or all but computed."""
        study, shapes = self.study, {}
        for name in self.shapeless:
            node = study.gradient_nodes.get(name)
            made = ancestors([node]) if node is not None else {}
            for result in (node for part in results for node in part):
                if result.number in made and result.value.shape == np.shape(study.gradients[name]):
                    shapes[result.number] = study.truth[name].shape
        return self._solved(results, shapes) if shapes else None

    def _suspect(
        self, k: int, results: list[list[Node]], solution: Solution | None,
        of: tuple[str, ...] = (),
    ) -> Suspect:  # fmt: skip
        part = None
        if solution is not None:
            part, results, solution = narrowed(results, solution)
        flat = [node for made in results for node in made]
        open_ = [node.number for node in flat if not self.certificates.vouched(node)]
        start = all(node.value.size and not np.any(node.value) for node in flat)  # to be filled
        empty = start and any(
            not np.any(self.study.gradients[name]) for name in self.study.wrong
            if self.study.gradients[name] is not None
        )  # fmt: skip
        # What adds up has at its last execution all that was added before.
        adds_up = isinstance(self.study.statements[k][1], ast.AugAssign)
        passed = solution is not None and not adds_up and _one_caller(k, results, solution)
        outer = any([j for j, _ in node.places].index(k) > 0 for node in flat)
        fits = solution is not None and self._fits(solution)
        through = self._passes(k, flat)
        # A value of the forward pass that is kept, under another name, is as it should be.
        kept = all(self._is_same(n) and not self.certificates.is_copy(n) for n in flat)
        soft = not open_ or start or passed or through or kept
        first = (open_ or [flat[0].number])[0]
        sure = all(self.certificates.certified.get(node.number) == 1 for node in flat)
        return Suspect(
            k, results, soft, outer, fits, first, empty, through, sure, of, solution, part
        )

    def _passes(self, k: int, flat: list[Node]) -> bool:
        """Does a statement only pass on the gradients, as `run` does, or a loop that clips them?"""
        turns = {place for node in flat for place in node.places if place[0] == k}
        shared = {p for n in self.study.forward.values() for p in n.places if p[0] == k}
        if shared - turns:
            return True
        if (k in self.study.run_statements or shared) and not self._computes(k, flat):
            return True
        if not all(self.certificates.is_copy(node) for node in flat):
            return False
        if isinstance(self.study.statements[k][1], ast.Expr):
            return True
        if len(self.study.wrong) < 2:
            return False
        shapes = [node.value.shape for node in flat]
        return all(self.study.truth[name].shape in shapes for name in self.study.wrong)

    def _computes(self, k: int, flat: list[Node]) -> bool:
        """Does a statement of the learner's compute something, beside what it calls for it?"""
        own = [node for node in flat if node.places[0][0] == k and not self._is_same(node)]
        return bool(own) and not self.study.statements[k][0].file.startswith("<the")

    def _is_same(self, node: Node) -> bool:
        return any(
            parent.value.size == node.value.size
            and np.array_equal(np.ravel(parent.value), np.ravel(node.value))
            for parent in nodes_in(node.args)
        )

    def _fits(self, solution: Solution) -> bool:
        """Would true gradients, put there at every execution, make all right?"""
        sizes = solution.sizes
        for truths in self._groups:
            for first in range(len(truths) - len(sizes) + 1):
                window = truths[first : first + len(sizes)]
                if [t.size for t in window] != sizes:
                    continue
                value = np.concatenate([np.ravel(t) for t in window])
                for scale in self.certificates.scales:
                    if solution.repairs(scale * value) or solution.repairs(-scale * value):
                        return True
        return False

    def feeding(self) -> list[int]:
        """What the first suspects are computed from, and is neither a gradient nor kept from the
        forward pass: no numbers there may do where what follows is not affine in them."""
        known = {suspect.statement for suspect in self.suspects}
        forward = {node.value.tobytes() for node in self.study.forward.values()}
        firsts = [s for s in self.suspects if not s.passes][:_FIRST]
        above = ancestors(node for s in firsts for made in s.results for node in made)
        return [
            k for k, results in self.sites.results.items()
            if k not in known and any(
                node.number in above and not self.certificates.vouched(node)
                and node.value.tobytes() not in forward
                for made in results for node in made
            )
        ]  # fmt: skip

    def never_read(self) -> list[int]:
        """Statements of the backward pass whose result nobody reads: it may belong elsewhere."""
        read = {
            (unit.file, n.id) for unit, statement in self.study.statements
            for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)
        }  # fmt: skip
        found = []
        for k in self.sites.unused:
            unit, s = self.study.statements[k]
            target = s.targets[0] if isinstance(s, ast.Assign) else None
            if isinstance(target, ast.Name) and (unit.file, target.id) not in read:
                found.append(k)
        return found

    def _cover(self) -> list[Suspect]:
        """Several mistakes: the statements that together could repair what is wrong."""
        study = self.study
        right = [name for name in study.truth if name not in study.wrong]
        repaired: dict[int, frozenset[str]] = {}
        for k, results in self._reaching().items():
            if k in study.run_statements:
                continue
            repaired[k] = frozenset(
                name for name in study.wrong if solve_one(self.sites, results, right, name)
            )
        left = set(study.wrong)
        chosen: list[Suspect] = []
        rows = {k: self._suspect(k, self.sites.results[k], None) for k in repaired}
        while left and repaired:
            best = max(
                repaired, key=lambda k: (len(repaired[k] & left), *(_negated(rows[k].order)))
            )
            gained = repaired[best] & left
            if not gained:
                break
            rows[best].of = tuple(name for name in study.truth if name in gained)
            chosen.append(rows[best])
            left -= gained
        return chosen


def _negated(order: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(-x if not isinstance(x, bool) else not x for x in order)


def solve_one(sites: Sites, results: Sequence[Sequence[Node]], right: list[str], name: str) -> bool:
    """Can one wrong gradient be repaired here, the right ones staying right?"""
    node = sites.study.gradient_nodes.get(name)
    if node is None:
        return False
    made = ancestors([node])
    if not any(n.number in made for part in results for n in part):
        return False
    kept = sites.study.wrong
    try:
        sites.study.wrong = [name]
        return isinstance(solve(sites, results, [*right, name]), Solution)
    finally:
        sites.study.wrong = kept


def _one_caller(k: int, results: Sequence[Sequence[Node]], solution: Solution) -> bool:
    """A helper that would have to change for one caller and not for another is not to blame."""
    change = np.abs(solution.x - solution.x0)
    callers: dict[tuple[int, ...], float] = {}
    i, sizes = 0, iter(solution.sizes)
    for made in results:
        largest = 0.0
        for size in (next(sizes) for _ in made):
            largest = max(largest, change[i : i + size].max(initial=0))
            i += size
        chain = [j for j, _ in made[0].places]
        caller = tuple(chain[chain.index(k) + 1 :])
        callers[caller] = max(callers.get(caller, 0.0), largest)
    most = max(callers.values())
    return len(callers) > 1 and any(c <= 1e-7 * max(most, 1e-9) for c in callers.values())


def _sequences(study: Study) -> list[list[Any]]:
    """Truths over the executions of a statement, forwards and backwards."""
    nodes = study.record.nodes
    found: dict[Any, list[Any]] = {}
    for node in nodes:
        if node.number in study.truths.of and node.function is not None and node.value.size:
            found.setdefault(("value", _statements(node), node.op), []).append(
                study.truths.of[node.number]
            )
    for (user, used), share in study.truths.of_use.items():
        key = ("use", _statements(nodes[user]), nodes[user].op, _origin(nodes[used], used))
        found.setdefault(key, []).append(share)
    for name, truth in study.truth.items():
        found["parameter", name] = [truth]
    return _distinct(found.values())


def _statements(node: Node) -> tuple[int, ...]:
    return tuple(k for k, _ in node.places)


def _origin(node: Node, number: int) -> Any:
    return _statements(node) if node.function is not None else number


def _distinct(groups: Iterable[list[Any]]) -> list[list[Any]]:
    distinct: dict[Any, list[Any]] = {}
    for truths in groups:
        for order in (truths, truths[::-1]) if len(truths) > 1 else (truths,):
            distinct.setdefault(tuple(t.round(11).tobytes() for t in order), order)
    return list(distinct.values())
