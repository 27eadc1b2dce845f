"""The verdicts: claims judged given the true values above them, on given and fresh numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_edu.calculus.examples import Examples, find_examples
from tinygrad_edu.checking.comparison import OF_SCALE, check_convention, moved, scales
from tinygrad_edu.checking.formula import (
    Evaluator,
    names_in,
    nodes,
    show,
)
from tinygrad_edu.checking.points import Point, points_of
from tinygrad_edu.checking.sheet import Claim, Key, Sheet, Statement
from tinygrad_edu.checking.truth import (
    TOLERANCE,
    largest_error,
    multiple_of,
)
from tinygrad_edu.checking.vocabulary import Budget, alike
from tinygrad_edu.core.sweep import reachable
from tinygrad_edu.core.value import Value


@dataclass
class Judgement:
    """What became of one claim.

    `truth` is which quantity it is the gradient of, and the factor of its convention.
    """

    claim: Claim
    verdict: str
    truth: tuple[Key, float] | None
    note: str | None = None
    candidates: list[tuple[Key, float]] = field(default_factory=list)


class Judged:
    """A sheet judged in one convention.

    `worlds` has, per point, the values of all names when every claim holds its truth.
    """

    def __init__(
        self, sheet: Sheet, points: list[Point], examples: Examples | None, convention: str
    ) -> None:
        self.sheet, self.points = sheet, points
        self.examples, self.convention = examples, convention
        self.final = {claim.last.key: claim for claim in sheet.claims.values()}
        self.judgements: dict[str, Judgement] = {}
        self.worlds: list[dict[Key, Any]] = []
        if any(point.finite for point in points):
            self._judge({})
            self._settle_ambiguous()
        else:
            self._know_nothing()
        #: How ill the convention fits, before anything is forgiven.
        self.fit = self.score
        self._forgive()

    def _know_nothing(self) -> None:
        note = "not judged: no numbers were found for which the cost and its gradients are finite"
        self.worlds = [dict(point.plain) for point in self.points]
        for claim in self.sheet.claims.values():
            self.judgements[claim.name] = Judgement(claim, "unchecked", None, note)

    # --- the pass over the lines ---------------------------------------------------------------

    def truth_at(self, point: int, truth: tuple[Key, float]) -> Any:
        """The true gradient of a quantity at a point, in this convention's scale."""
        key, factor = truth
        return factor * self.points[point].gradient(key)

    def _candidates(self, claim: Claim) -> list[tuple[Key, float]]:
        values = self.points[0].graph.values
        found = []
        for key in self.sheet.versions(claim.of):
            node = values[key]
            if isinstance(node, Value) and node in self.points[0].reached:
                for factor in scales(node, self.examples, self.convention):
                    found.append((key, factor))
        return found

    def _judge(self, preferred: dict[str, tuple[Key, float]]) -> None:
        self.worlds = [dict(point.plain) for point in self.points]
        evaluators = [Evaluator(world, Budget()) for world in self.worlds]
        self.judgements = {}
        with np.errstate(all="ignore"):
            for statement in self.sheet.backward:
                claim = self.final.get(statement.key)
                values = [
                    e.get(statement.expr) if claim is None else e.array(statement.expr)
                    for e in evaluators
                ]
                if claim is not None:
                    judgement = self._judged(claim, values, preferred.get(claim.name))
                    self.judgements[claim.name] = judgement
                    if judgement.truth is not None:
                        values = [
                            self.truth_at(i, judgement.truth) for i in range(len(self.points))
                        ]
                for world, value in zip(self.worlds, values, strict=True):
                    world[statement.key] = value

    def _judged(
        self, claim: Claim, given_truth: list[Any], preferred: tuple[Key, float] | None
    ) -> Judgement:
        candidates = self._candidates(claim)
        if not candidates:
            return Judgement(claim, "unchecked", None)
        if all(p.kinks.undecided(p.graph.values[k]) for p in self.points for k, _ in candidates):
            return Judgement(
                claim, "unchecked", None, "not judged: all its numbers lie on a kink, always"
            )
        as_run = [point.run[claim.last.key] for point in self.points]
        for verdict, values in (("correct", as_run), ("follows", given_truth)):
            for truth in candidates:
                if self.equals(values, truth):
                    note = self._by_size(claim) if verdict == "correct" else None
                    return Judgement(claim, verdict, truth, note, candidates)
        for verdict, values in (("correct", as_run), ("follows", given_truth)):
            if self._went_on(claim, values, candidates):
                note = (
                    f"{claim.name} is right first, and then goes on to what {claim.of} is a "
                    "function of, which has no name"
                )
                return Judgement(claim, verdict, None, note)
        return Judgement(claim, "wrong", preferred or candidates[0], None, candidates)

    def _went_on(
        self, claim: Claim, values: list[Any], candidates: list[tuple[Key, float]]
    ) -> bool:
        """Is ``dh``, right at first, in the end the gradient of z in ``h = g(z)``, z unnamed?"""
        earlier = [[w.get(s.key) for w in self.worlds] for s in claim.statements[:-1]]
        right = [t for t in candidates if any(self.equals(before, t) for before in earlier)]
        return self._of_unnamed(values, right)

    def _of_unnamed(self, values: list[Any], candidates: list[tuple[Key, float]]) -> bool:
        """Are these the gradients of z in ``h = g(z)``, where z has no name and h is asked for?"""
        for key, factor in candidates:
            for further in zip(*(point.unnamed(key) for point in self.points), strict=True):
                pairs = list(zip(values, further, strict=True))
                if all(v is not None and np.shape(v) == np.shape(t) for v, t in pairs) and all(
                    largest_error(v, factor * t) <= TOLERANCE for v, t in pairs
                ):
                    return True
        return False

    def _by_size(self, claim: Claim) -> str | None:
        """A note where a line is right only because an axis happens to have length one."""
        with np.errstate(all="ignore"):
            evaluator = Evaluator(self.points[0].run, Budget())
            for _, e in nodes(claim.last.expr):
                if e.op != "*" and e.function != "multiply":
                    continue
                shapes = [np.shape(evaluator.get(a)) for a in (*e.args[:2], e)]
                if all(len(s) == 2 for s in shapes) and shapes[2] not in shapes[:2]:
                    return (
                        f"{show(e)} is right because of a length of 1 in {shapes[0]} and "
                        f"{shapes[1]}; for other sizes it takes a matrix product, @"
                    )
        return None

    def equals(self, values: list[Any], truth: tuple[Key, float]) -> bool:
        """Are these the true numbers at every point, entries on a kink apart?"""
        for i, value in enumerate(values):
            if value is None or np.shape(value) != np.shape(self.points[i].gradient(truth[0])):
                return False
        for i, value in enumerate(values):
            node = self.points[i].graph.values[truth[0]]
            mask = self.points[i].kinks.excused(node, value, truth[1])
            error = largest_error(value, self.truth_at(i, truth), mask)
            if TOLERANCE < error < 0.01:
                # Nearly right: perhaps exactly, but for an ε such as log(A + 1e-8) adds.
                bare = self.points[i].without_tiny(self.sheet, truth[0])
                error = error if bare is None else largest_error(value, truth[1] * bare, mask)
            if error > TOLERANCE:
                return False
        return True

    def _settle_ambiguous(self) -> None:
        """A wrong claim of a name with several states: take the one that suits what follows."""
        for name, judgement in list(self.judgements.items()):
            if judgement.verdict != "wrong" or len(judgement.candidates) < 2:
                continue
            best: tuple[int, dict[str, tuple[Key, float]]] | None = None
            fixed = {n: j.truth for n, j in self.judgements.items() if j.truth is not None}
            for truth in judgement.candidates:
                chosen = {**fixed, name: truth}
                self._judge(chosen)
                if best is None or self.score < best[0]:
                    best = (self.score, chosen)
            assert best is not None
            self._judge(best[1])

    @property
    def score(self) -> int:
        """``3·(wrong lines) + (lines that follow)``."""
        verdicts = [j.verdict for j in self.judgements.values()]
        return 3 * verdicts.count("wrong") + verdicts.count("follows")

    @property
    def wrong(self) -> set[str]:
        """The claims that are wrong."""
        return {name for name, j in self.judgements.items() if j.verdict == "wrong"}

    def averages(self, name: str) -> str | None:
        """Is a line right but for a 1/m that is "missing" or "too many"?"""
        judgement = self.judgements[name]
        if judgement.truth is None or self.examples is None or self.examples.m == 1:
            return None
        expr = judgement.claim.last.expr
        with np.errstate(all="ignore"):
            values = [Evaluator(world, Budget()).array(expr) for world in self.worlds]
        constant = self.multiple(values, judgement.truth)
        m = self.examples.m
        for what, factor in (("missing", m), ("too many", 1 / m)):
            if constant is not None and np.isclose(constant, factor):
                return what
        return None

    # --- what is wrong only by where a factor was put --------------------------------------

    def readers(self, key: Key) -> set[str]:
        """The claims that read, directly or through others, one state of a name."""
        tainted = {key}
        found = set()
        for statement in self.sheet.backward:
            if statement.key != key and any(name in tainted for name in names_in(statement.expr)):
                tainted.add(statement.key)
                for claim in self.sheet.claims.values():
                    if statement in claim.statements:
                        found.add(claim.name)
        return found

    def is_parameter(self, claim: Claim) -> bool:
        """Is the claim about something given, rather than computed?"""
        value = self.points[0].graph.values.get((claim.of, 0))
        return isinstance(value, Value) and value.op is None

    def _forgive(self) -> None:
        for name, judgement in self.judgements.items():
            if judgement.verdict not in ("wrong", "follows"):
                continue
            claim = judgement.claim
            for statement in claim.statements[:-1]:
                if self._overwritten_but_right(judgement, statement):
                    judgement.verdict = "correct"
                    judgement.note = (
                        f"right as first computed (line {statement.line}); {name} is overwritten "
                        f"in line {claim.last.line}, after it was used"
                    )
                    break
            if judgement.verdict == "correct" or self.is_parameter(claim):
                continue
            readers = [
                self.judgements[reader]
                for reader in self.readers(claim.last.key)
                if self.is_parameter(self.sheet.claims[reader])
            ]
            if not readers or any(r.verdict != "correct" for r in readers):
                continue
            as_run = [point.run[claim.last.key] for point in self.points]
            if self._of_unnamed(as_run, judgement.candidates):
                judgement.verdict, judgement.truth = "correct", None
                judgement.note = (
                    f"this is the gradient of what {claim.of} is a function of, which has no name; "
                    "the lines that read it take it for that"
                )
                continue
            for truth in judgement.candidates:
                multiple = self.multiple([p.run[claim.last.key] for p in self.points], truth)
                if multiple is not None:
                    judgement.verdict, judgement.truth = "correct", truth
                    judgement.note = moved(multiple, claim.of, self.convention)
                    break

    def _overwritten_but_right(self, judgement: Judgement, statement: Statement) -> bool:
        direct = {
            claim.name
            for claim in self.sheet.claims.values()
            if claim is not judgement.claim
            and any(statement.key in names_in(s.expr) for s in claim.statements)
        }
        if not direct or any(self.judgements[n].verdict != "correct" for n in direct):
            return False
        values = [point.run[statement.key] for point in self.points]
        for truth in judgement.candidates:
            if self.equals(values, truth):
                judgement.truth = truth
                return True
        return False

    def multiple(self, values: list[Any], truth: tuple[Key, float]) -> float | None:
        """The one constant by which these differ from the truth at all points, or None."""
        ratio: float | None = None
        for i, value in enumerate(values):
            true = np.asarray(self.truth_at(i, truth))
            if value is not None and np.shape(value) == true.shape == () and not true and not value:
                continue  # a single unit that is off
            here = multiple_of(value, true)
            if here is None or (ratio is not None and abs(here / ratio - 1) > TOLERANCE):
                return None
            ratio = here if ratio is None else ratio
        return ratio


def _too_early(sheet: Sheet) -> list[str]:
    """Lines that look like claims but stand above the cost, where nothing is judged."""
    used = set(reachable(sheet.cost, every=True))
    known = {*sheet.givens, *(statement.name for statement in sheet.forward)}
    return [
        f"{s.name} (line {s.line}) stands above the cost {sheet.cost_name} and is not judged: "
        "move it below"
        for s in sheet.forward
        if s.name[:1] == "d"
        and s.name[1:] in known
        and not any(sheet.main.values[s.key] is node for node in used)
    ]


def _misnamed(sheet: Sheet) -> list[str]:
    """Lines that look like claims but for a letter: dZl where there is a Z1."""
    known = {*sheet.givens, *(statement.name for statement in sheet.forward)}
    found = {}
    for s in sheet.backward:
        if s.name[:1] == "d" and s.name not in sheet.claims and s.name[1:] not in known:
            near = [n for n in alike(s.name[1:], sorted(known)) if f"d{n}" not in sheet.claims]
            if near:
                found[s.name] = (
                    f"{s.name} (line {s.line}) is not judged: there is no {s.name[1:]}; "
                    f"did you mean d{near[0]}?"
                )
    return list(found.values())


def judge(sheet: Sheet, convention: str = "auto") -> tuple[Judged, list[str]]:
    """The sheet judged in the convention that fits it, and remarks on the numbers."""
    examples = find_examples(sheet.cost)
    points, remarks = points_of(sheet)
    points = points or [Point(sheet, sheet.main)]
    if points[0].graph is not sheet.main:
        examples = find_examples(points[0].graph.cost)
    if not sheet.claims:
        remarks.append("this sheet claims nothing: a claim is a line such as dW1 = …")
    remarks += _too_early(sheet) + _misnamed(sheet)
    tried = [
        Judged(sheet, points, examples, choice) for choice in check_convention(convention, examples)
    ]
    chosen = min(tried, key=lambda judged: judged.fit)
    for other in tried:
        if other is not chosen:
            _say_both(chosen, other)
    return chosen, remarks


def _say_both(chosen: Judged, other: Judged) -> None:
    """A 1/m that may as well be put right in another line, in the other scale: say so."""
    only_here = chosen.wrong - other.wrong
    only_there = other.wrong - chosen.wrong
    here = {name: chosen.averages(name) for name in only_here}
    there = {name: other.averages(name) for name in only_there}
    if not only_here or not only_there or not all((*here.values(), *there.values())):
        return
    said = []
    for what in ("missing", "too many"):
        names = [name for name in other.judgements if there.get(name) == what]
        if names:
            said.append(f"1/m is {what} in {', '.join(names)}")
    for name in only_here:
        chosen.judgements[name].note = (
            f"it may as well be another line: in {OF_SCALE[other.convention]} "
            f"scale {name} is right as it stands, and {' and '.join(said)}"
        )
