"""The verdicts: claims judged given the true values above them, on given and fresh numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.calculus.axes import Examples, find_examples
from tinygrad_edu.checking.conventions import check_convention, scales
from tinygrad_edu.checking.notes import by_size, joined, moved, of_data, of_nothing, remarks_on
from tinygrad_edu.checking.rounding import RUNS, SHARE, agree
from tinygrad_edu.checking.samples import Sample, samples_of
from tinygrad_edu.checking.sides import seek
from tinygrad_edu.checking.truth import TOLERANCE, largest_error, multiple_of
from tinygrad_edu.core.sweep import reachable
from tinygrad_edu.core.value import Value
from tinygrad_edu.sheets.account import JUDGING, Account, entries_of
from tinygrad_edu.sheets.evaluate import Evaluator
from tinygrad_edu.sheets.lines import Claim, Jacobian, Key, Statement
from tinygrad_edu.sheets.sheet import Sheet
from tinygrad_edu.sheets.syntax import walk
from tinygrad_edu.words import say, together

#: What it costs to compare numbers with the truth, besides their number.
_COMPARED = 80_000


class Truth(NamedTuple):
    """What a claim is true of: the gradient of a quantity, times the factor of a convention."""

    key: Key
    factor: float


@dataclass
class Judgement:
    """What became of one claim; `candidates` are all that it may be true of."""

    claim: Claim
    verdict: str
    truth: Truth | None
    note: str | None = None
    candidates: list[Truth] = field(default_factory=list)
    other_scale: bool = False  # than the convention's, as the note says


class Judged:
    """A sheet judged in one convention.

    `worlds` has, per sample, the values of all names when every claim holds its truth.
    """

    def __init__(
        self, sheet: Sheet, samples: list[Sample], examples: Examples | None, convention: str
    ) -> None:
        self.sheet, self.samples = sheet, samples
        self.account = samples[0].account
        self.examples, self.convention = examples, convention
        self.final = {claim.last.key: claim for claim in sheet.claims.values()}
        self.jacobians = {claim.last.key: claim for claim in sheet.jacobians.values()}
        self.judgements: dict[str, Judgement] = {}
        self.worlds: list[dict[Key, Any]] = []
        if any(sample.finite for sample in samples):
            self._judge({})
            self._settle_ambiguous()
        else:
            self._know_nothing()
        #: How ill the convention fits, before anything is forgiven.
        self.fit = self.score
        self._forgive()

    def _know_nothing(self) -> None:
        note = say("note.not_finite")
        self.worlds = [dict(sample.plain) for sample in self.samples]
        for claim in (*self.sheet.claims.values(), *self.sheet.jacobians.values()):
            self.judgements[claim.name] = Judgement(claim, "unchecked", None, note)

    # --- the pass over the lines ---------------------------------------------------------------

    def truth_at(self, sample: int, truth: Truth) -> Any:
        """The true gradient of a quantity on a sample, in this convention's scale."""
        return truth.factor * self.samples[sample].gradient(truth.key)

    def _candidates(self, claim: Claim) -> list[Truth]:
        graph = self.samples[0].graph
        found = []
        for key in self.sheet.quantities(claim.of, graph):
            node = graph.node(key)
            if isinstance(node, Value) and node in self.samples[0].reached:
                for factor in scales(node, self.examples, self.convention):
                    found.append(Truth(key, factor))
        return found

    def _judge(self, preferred: dict[str, Truth]) -> None:
        self.worlds = [dict(sample.plain) for sample in self.samples]
        evaluators = [Evaluator(world, self.account) for world in self.worlds]
        kept = self.account.kept
        self.judgements = {}
        with np.errstate(all="ignore"):
            for statement in self.sheet.backward:
                claim = self.final.get(statement.key)
                matrix = self.jacobians.get(statement.key)
                with self.sheet.line_of(statement.line):
                    values = [
                        (e.get if claim is None and matrix is None else e.array)(statement.expr)
                        for e in evaluators
                    ]
                    if matrix is not None:
                        self.judgements[matrix.name] = self._judged_matrix(matrix, values)
                        if self.samples[0].jacobian(matrix) is not None:
                            values = [sample.jacobian(matrix) for sample in self.samples]
                    if claim is not None:
                        judgement = self._judged(claim, values, preferred.get(claim.name))
                        self.judgements[claim.name] = judgement
                        if judgement.truth is not None:
                            values = [
                                self.truth_at(i, judgement.truth) for i in range(len(self.samples))
                            ]
                    self.account.keep(sum(map(entries_of, values)))
                for world, value in zip(self.worlds, values, strict=True):
                    world[statement.key] = value
        if preferred:
            self.account.kept = kept  # these worlds take the place of those before

    def _judged(self, claim: Claim, given_truth: list[Any], preferred: Truth | None) -> Judgement:
        candidates = self._candidates(claim)
        if not candidates:
            return Judgement(claim, "unchecked", None)
        if all(p.kinks.undecided(p.graph.node(k)) for p in self.samples for k, _ in candidates):
            return Judgement(claim, "unchecked", None, say("note.only_kinks"))
        as_run = [sample.run[claim.last.key] for sample in self.samples]
        key = claim.last.key
        for verdict, values in (("correct", as_run), ("follows", given_truth)):
            for truth in candidates:
                if self.equals(values, truth, key, verdict == "follows"):
                    return self._noted(Judgement(claim, verdict, truth, None, candidates))
        for verdict, values in (("correct", as_run), ("follows", given_truth)):
            if self._went_on(claim, values, candidates):
                note = say("note.went_on", name=claim.name, of=claim.of)
                return Judgement(claim, verdict, None, note)
        if self._of_one_turn(claim, as_run[0], candidates):
            note = say("note.one_turn", name=claim.name, of=claim.of)
            return Judgement(claim, "unchecked", None, note)
        return Judgement(claim, "wrong", preferred or candidates[0], None, candidates)

    def _of_one_turn(self, claim: Claim, value: Any, candidates: list[Truth]) -> bool:
        """Is ``dy``, in a loop that reads ``y[t]``, what each turn calls the gradient of y[t]?"""
        if value is None or not (claim.last.turn and claim.last.plain):
            return False
        shapes = [self.samples[0].graph.node(truth.key).shape for truth in candidates]
        read = (e for s in self.sheet.forward for e in walk(s.expr) if e.op == "index")
        return any(e.args[0].op == "name" and e.args[0].extra[0] == claim.of for e in read) and all(
            any(n > 1 and np.shape(value) == s[:i] + s[i + 1 :] for i, n in enumerate(s))
            for s in shapes
        )

    def _judged_matrix(self, claim: Jacobian, given_truth: list[Any]) -> Judgement:
        """Derivatives of something else than the cost: no scale, no other state, as they are."""
        key = claim.last.key
        if self.samples[0].jacobian(claim) is None:
            return Judgement(claim, "unchecked", None, say("note.matrix_too_large"))

        def right(i: int, value: Any) -> bool:
            truth = self.samples[i].jacobian(claim)
            self.account.spend(_COMPARED + 20 * entries_of(value))
            if value is None or tuple(n for n in np.shape(value) if n != 1) != truth.shape:
                return False
            size = self._of_line(i, key, value, False, 1) + np.abs(truth).max(initial=0.0)
            return agree(np.reshape(value, truth.shape), truth, np.reshape(size, truth.shape))

        as_run = [sample.run[key] for sample in self.samples]
        for verdict, values in (("correct", as_run), ("follows", given_truth)):
            if all(right(i, value) for i, value in enumerate(values)):
                return Judgement(claim, verdict, None)
        return Judgement(claim, "wrong", None)

    def _went_on(self, claim: Claim, values: list[Any], candidates: list[Truth]) -> bool:
        """Is ``dh``, right at first, in the end the gradient of z in ``h = g(z)``, z unnamed?"""
        earlier = [(s.key, [w.get(s.key) for w in self.worlds]) for s in claim.statements[:-1]]
        right = [t for t in candidates if any(self.equals(b, t, key) for key, b in earlier)]
        return self._of_unnamed(values, right)

    def _of_unnamed(self, values: list[Any], candidates: list[Truth]) -> bool:
        """Are these the gradients of z in ``h = g(z)``, where z has no name and h is asked for?"""
        for key, factor in candidates:
            for further in zip(*(sample.unnamed(key) for sample in self.samples), strict=True):
                pairs = list(zip(values, further, strict=True))
                if all(v is not None and np.shape(v) == np.shape(t) for v, t in pairs) and all(
                    largest_error(v, factor * t) <= TOLERANCE for v, t in pairs
                ):
                    return True
        return False

    def _noted(self, judgement: Judgement) -> Judgement:
        """The judgement with what is to be said of a line although it is right."""
        claim, truth = judgement.claim, judgement.truth
        if judgement.verdict == "correct" and truth is not None:
            node = self.samples[0].graph.node(truth.key)
            scale = of_data(claim.of, truth.factor, scales(node, self.examples, self.convention))
            judgement.other_scale = scale is not None
            key = claim.last.key

            def size(i: int) -> Any:  # of the line too: else it can't be told from a wrong one
                of_both = self.terms(i, truth, key, self.samples[i].run[key])
                return of_both / abs(truth.factor)

            cost = self.sheet.cost_name
            nothing = of_nothing(self.samples, claim.of, truth.key, cost, size)
            judgement.note = joined(scale, by_size(self.samples[0], claim), nothing)
        return judgement

    def of_nothing(self, claim: Claim, truth: Truth) -> str | None:
        """What is said where a gradient is 0 up to rounding on all samples; None of others."""

        def size(i: int) -> Any:
            node = self.samples[i].graph.node(truth.key)
            return self.samples[i].rounding.of_gradient(node, self.samples[i].gradient(truth.key))

        return of_nothing(self.samples, claim.of, truth.key, self.sheet.cost_name, size)

    def equals(self, values: list[Any], truth: Truth, key: Key, given_truth: bool = False) -> bool:
        """Are these the true numbers on every sample, up to rounding, entries on a kink apart?

        `key`: the line that gave them, as it runs or `given_truth` above it.
        """
        for value in values:
            self.account.spend(_COMPARED + 20 * entries_of(value))
        for i, value in enumerate(values):
            if value is None or np.shape(value) != np.shape(self.samples[i].gradient(truth.key)):
                return False
        return all(self.agrees(i, value, truth, key, given_truth) for i, value in enumerate(values))

    def agrees(
        self,
        i: int,
        value: Any,
        truth: Truth,
        key: Key,
        given_truth: bool = False,
        constant: float = 1.0,
    ) -> bool:
        """Is this the true number on one sample, up to rounding (and a constant)?"""
        sample = self.samples[i]
        node = sample.graph.node(truth.key)
        factor = constant * truth.factor
        mask = sample.kinks.excused(node, value, factor)
        true = factor * sample.gradient(truth.key)
        if agree(value, true, 0.0, mask):
            return True
        for runs in (1, RUNS):  # what one run tells apart, more would as well
            size = self.terms(i, Truth(truth.key, factor), key, value, given_truth, runs)
            if not (close := agree(value, true, size, mask)):
                break
        if close:
            return True
        if largest_error(value, true, mask) > 0.01:
            return False
        # Nearly right: perhaps exactly, but for an ε such as log(A + 1e-8) adds.
        bare = sample.without_tiny(self.sheet, truth.key)
        if bare is None or not np.isfinite(bare).all():
            return False
        slack = np.abs(true - factor * bare) / SHARE
        return agree(value, true, size + 2 * slack, mask)

    def terms(
        self,
        i: int,
        truth: Truth,
        key: Key,
        value: Any,
        given_truth: bool = False,
        runs: int = RUNS,
    ) -> Any:
        """The size of the terms that a gradient and a line were added up from on one sample."""
        sample = self.samples[i]
        node = sample.graph.node(truth.key)
        of_gradient = sample.rounding.of_gradient(node, sample.gradient(truth.key), runs)
        return abs(truth.factor) * of_gradient + self._of_line(i, key, value, given_truth, runs)

    def _of_line(self, i: int, key: Key, value: Any, given_truth: bool, runs: int) -> Any:
        sample = self.samples[i]
        if not given_truth:
            return sample.rounding.of_line(key, value, runs)
        true: dict[Key, tuple[Value, float]] = {}
        self.account.spend(2_000 * len(self.judgements))
        for judgement in self.judgements.values():
            if judgement.truth is not None:
                at, factor = judgement.truth
                true[judgement.claim.last.key] = sample.graph.node(at), factor
        return sample.rounding.of_line_given_truth(key, value, true, self.worlds[i], runs)

    def _settle_ambiguous(self) -> None:
        """A wrong claim of a name with several states: take the one that suits what follows."""
        for name, judgement in list(self.judgements.items()):
            if judgement.verdict != "wrong" or len(judgement.candidates) < 2:
                continue
            if not self.account.ample:
                return
            best: tuple[int, dict[str, Truth]] | None = None
            fixed = {n: j.truth for n, j in self.judgements.items() if j.truth is not None}
            likely = sorted(
                judgement.candidates, key=lambda truth: -self._zeros_alike(judgement.claim, truth)
            )
            for truth in likely:
                if best is not None and not self.account.ample:
                    break
                chosen = {**fixed, name: truth}
                self._judge(chosen)
                if best is None or self.score < best[0]:
                    best = self.score, chosen
            assert best is not None
            self._judge(best[1])

    def _zeros_alike(self, claim: Claim, truth: Truth) -> float:
        """At what share of the entries are a claim's numbers 0 where the true ones are?"""
        value, true = self.samples[-1].run[claim.last.key], self.samples[-1].gradient(truth.key)
        alike = np.shape(value) == np.shape(true)
        return float(np.mean((np.asarray(value) == 0) == (true == 0))) if alike else 0.0

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
        """Is a line right but for a 1/m that is "missing" or "too_many"?"""
        judgement = self.judgements[name]
        if judgement.truth is None or self.examples is None or self.examples.m == 1:
            return None
        expr = judgement.claim.last.expr
        with np.errstate(all="ignore"):
            values = [Evaluator(world, self.account).array(expr) for world in self.worlds]
        key = judgement.claim.last.key
        constant = self.multiple(values, judgement.truth, key, given_truth=True)
        m = self.examples.m
        for what, factor in (("missing", m), ("too_many", 1 / m)):
            if constant is not None and np.isclose(constant, factor):
                return what
        return None

    # --- what is wrong only by where a factor was put --------------------------------------

    def readers(self, key: Key) -> set[str]:
        """The claims that read, directly or through others, one state of a name."""
        tainted = {key}
        found = set()
        for statement in self.sheet.backward:
            self.account.spend(2_000)
            if statement.key != key and any(name in tainted for name in statement.expr.names):
                tainted.add(statement.key)
                if statement.name in self.sheet.claims:
                    found.add(statement.name)
        return found

    def is_parameter(self, claim: Claim) -> bool:
        """Is the claim about something given, rather than computed?"""
        value = self.samples[0].graph.values.get((claim.of, 0))
        return isinstance(value, Value) and value.op is None

    def _forgive(self) -> None:
        """Take a line for right that was right before, or that its readers make up for."""
        for judgement in self.judgements.values():
            if judgement.verdict in ("wrong", "follows"):
                note = self._overwritten(judgement) or self._made_up_for(judgement)
                if note is not None:
                    judgement.verdict, judgement.note = "correct", note

    def _overwritten(self, judgement: Judgement) -> str | None:
        claim = judgement.claim
        for statement in claim.statements[:-1]:
            if self._overwritten_but_right(judgement, statement):
                first, last = statement.line, claim.last.line
                return say("note.overwritten", name=claim.name, first=first, last=last)
        return None

    def _made_up_for(self, judgement: Judgement) -> str | None:
        """What is said of a computed quantity's gradient where the parameters' that read it are
        right."""
        claim, key = judgement.claim, judgement.claim.last.key
        if self.is_parameter(claim):
            return None
        readers = filter(lambda name: self.is_parameter(self.sheet.claims[name]), self.readers(key))
        verdicts = {self.judgements[name].verdict for name in readers}
        if verdicts != {"correct"}:
            return None
        as_run = [sample.run[key] for sample in self.samples]
        if self._of_unnamed(as_run, judgement.candidates):
            judgement.truth = None
            return say("note.unnamed", of=claim.of)
        for truth in judgement.candidates:
            multiple = self.multiple(as_run, truth, key)
            if multiple is not None:
                judgement.truth, judgement.other_scale = truth, True
                return moved(multiple, claim.of, self.convention)
        return None

    def _overwritten_but_right(self, judgement: Judgement, statement: Statement) -> bool:
        direct = {
            claim.name
            for claim in self.sheet.claims.values()
            if claim is not judgement.claim
            and any(statement.key in s.expr.names for s in claim.statements)
        }
        if not direct or any(self.judgements[n].verdict != "correct" for n in direct):
            return False
        values = [sample.run[statement.key] for sample in self.samples]
        for truth in judgement.candidates:
            if self.equals(values, truth, statement.key):
                judgement.truth = truth
                return True
        return False

    def multiple(
        self, values: list[Any], truth: Truth, key: Key, given_truth: bool = False
    ) -> float | None:
        """The one constant by which these differ from the truth on all samples, or None."""
        true = [np.asarray(self.truth_at(i, truth)) for i in range(len(values))]
        pairs = zip(values, true, strict=True)
        if any(v is None or np.shape(v) != t.shape or not t.size for v, t in pairs):
            return None
        i = int(np.argmax([np.abs(t).max() for t in true]))
        constant = multiple_of(values[i], true[i])
        if constant is None or not all(
            self.agrees(j, v, truth, key, given_truth, constant) for j, v in enumerate(values)
        ):
            return None
        return constant


def judge(sheet: Sheet, convention: str = "auto", m: int | None = None) -> tuple[Judged, list[str]]:
    """The sheet judged in the convention that fits it, and remarks on the numbers.

    `m`: the number of examples, where the sheet does not tell.
    """
    last = max((s.line for s in sheet.backward), default=1)
    # What is not finite is a remark, no warning.
    with sheet.line_of(last), np.errstate(all="ignore"):
        return _judged_within(sheet, convention, m, Account(JUDGING))


def _judged_within(
    sheet: Sheet, convention: str, m: int | None, account: Account
) -> tuple[Judged, list[str]]:
    samples, remarks = samples_of(sheet, account)
    unreached: list[tuple[Value, str]] = []
    if (sheet.claims or sheet.jacobians) and any(sample.good for sample in samples):
        more, unreached = seek(sheet, samples, account)
        samples = samples + more
    samples = samples or [Sample(sheet, sheet.main, account)]
    graph = samples[0].graph
    examples = find_examples(graph.cost, m, sheet.origins(graph))
    remarks += remarks_on(sheet)
    tried = [
        Judged(sheet, samples, examples, choice)
        for choice in check_convention(convention, examples)
    ]
    chosen = min(tried, key=lambda judged: judged.fit)
    for other in tried:
        if other is not chosen:
            _say_both(chosen, other)
    remarks += [said for node, said in unreached if not _noted_with(chosen, node, said)]
    return chosen, remarks


def _noted_with(judged: Judged, node: Value, said: str) -> bool:
    """Is there a claim to note it with that numbers beyond `node` were not found: the nearest?"""
    graph = judged.samples[0].graph
    before = set(reachable(node)) - {node}
    near = [
        (made._created, i, judgement)
        for i, judgement in enumerate(judged.judgements.values())
        if judgement.truth is not None and (made := graph.node(judgement.truth.key)) in before
    ]
    if not near:
        return False
    *_, nearest = max(near)
    nearest.note = joined(nearest.note, said)
    return True


def _say_both(chosen: Judged, other: Judged) -> None:
    """A 1/m that may as well be put right in another line, in the other scale: say so."""
    only_here = chosen.wrong - other.wrong
    only_there = other.wrong - chosen.wrong
    here = {name: chosen.averages(name) for name in only_here}
    there = {name: other.averages(name) for name in only_there}
    if not only_here or not only_there or not all((*here.values(), *there.values())):
        return
    said = []
    for what in ("missing", "too_many"):
        names = [name for name in other.judgements if there.get(name) == what]
        if names:
            said.append(say(f"note.m_{what}", names=", ".join(names)))
    for name in only_here:
        scale, others = say(f"scale.{other.convention}"), together("note.comma", *said)
        chosen.judgements[name].note = say("note.both", scale=scale, name=name, others=others)
