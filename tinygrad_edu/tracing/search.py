"""The smallest changes of the learner's text after which all gradients are right."""

from __future__ import annotations

import ast
import functools
import itertools
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_edu.tracing.additions import Additions
from tinygrad_edu.tracing.copies import copies, written_in
from tinygrad_edu.tracing.corrections import Correction, Job, Place
from tinygrad_edu.tracing.edits import Edit, Edits, targets_of
from tinygrad_edu.tracing.formulas import formulas
from tinygrad_edu.tracing.missing import Missing
from tinygrad_edu.tracing.parameters import Parameters
from tinygrad_edu.tracing.ranking import Ranking, natural
from tinygrad_edu.tracing.record import ancestors
from tinygrad_edu.tracing.repair import effects
from tinygrad_edu.tracing.scope import Scope, names_used
from tinygrad_edu.tracing.sieve import Sieve
from tinygrad_edu.tracing.study import Runner, Study, wrong_among
from tinygrad_edu.tracing.trial import Trials, bounded_memory
from tinygrad_edu.tracing.workspace import Source

#: The work of all trials together, in recorded operations; a trial has a price of its own.
_WORK = 3_000_000
_TRIAL = 400
#: So many words, the nearest, are put in place of another; more where edits can be sieved.
_WORDS, _SIEVED = 40, 100
#: What is tried of the forward pass, where nothing small corrects the backward one.
_FORWARD = frozenset({"sign", "keyword", "operator", "transpose", "compare"})
_AXES = frozenset({"keyword"})
_FORWARD_TRIALS = 400
#: So many changes are tried after the first that is right.
_AFTER = 250
_NOW_AND_THEN = 25
#: Changes are tried in bands of cost, up to the last.
_BANDS = (0, 2.5, 3.5, 4.5, 6.0)
_SIEVED_BANDS = (0, 3.0, 4.0, 6.0)
#: Of so many places it is asked what they lack.
_LACKING = 8
#: A smaller slope is none.
_NOTHING = 1e-9
#: By so much less costs a correction after which most values are gradients of something.
_NATURAL = 1.25
#: So many of the corrections found are compared with one another.
_COMPARED = 10


class Search:
    """Looks for corrections of a study; `found` are those verified, the best first."""

    def __init__(
        self, source: Source, parameters: Parameters, study: Study, ranking: Ranking,
        runner: Runner, until: float,
    ) -> None:  # fmt: skip
        self.source, self.parameters = source, parameters
        self.study, self.ranking, self.runner = study, ranking, runner
        self.scopes: dict[str, Scope] = {}
        self.trials = Trials(runner.workspace, self.scopes)
        self._sieves: dict[Place, Sieve] = {}
        self.tried = 0
        self.partial: list[Correction] = []
        self._stop: float | None = None
        self._first = 0
        self._cost, _ = runner.outcome(study.values)
        self._most = _WORK // (_TRIAL + len(study.record.nodes))
        self._until, self._asked, self._late = until, 0, False

    def scope_of(self, k: int) -> tuple[Scope, Any] | None:
        """The statement of a record in the tree for edits; None for what is not the learner's."""
        unit, statement = self.study.statements[k]
        if unit.file not in self.scopes:
            functions = self.runner.workspace.functions
            compiled = {(line, column) for file, line, column in functions if file == unit.file}
            self.scopes[unit.file] = Scope(unit, compiled)
        scope = self.scopes[unit.file]
        found = scope.statements.get((statement.lineno, statement.col_offset))
        return None if found is None else (scope, found)

    def places(self, wide: bool = False) -> list[Place]:
        """The suspects; what is around them and feeds them; what is computed and not used."""
        made: dict[Any, Place] = {}
        alone = self.ranking.alone and not wide

        def add(found: tuple[Scope, Any] | None, why: str, rank: int, extra: float) -> None:
            if found is not None and found[1] not in made:
                made[found[1]] = Place(*found, why, rank, extra, tuple(self.study.wrong))

        for rank, suspect in enumerate(self.ranking.suspects):
            extra = (0 if rank < 4 else 0.5) + (1.0 if suspect.soft else 0)
            found = self.scope_of(suspect.statement)
            if not alone:
                add(found, "repairs", 0, 0)
            else:
                why, extra = ("empty", 0) if suspect.empty else ("repairs", extra)
                add(found, why, rank, extra)
                if found is not None and made[found[1]].why == why:
                    made[found[1]].suspect = suspect
                    made[found[1]].formulas = formulas(self.ranking.sites, suspect, found[1])
        for k in () if alone else self.ranking.sites.results:
            add(self.scope_of(k), "reaches", 1, 0)
        for k in self.ranking.feeding() if alone else ():
            add(self.scope_of(k), "makes", len(made), 0.5)
        self._surroundings(list(made.values()), add, len(made))
        for k in self.ranking.sites.unused:
            add(self.scope_of(k), "unused", len(made), 1)
        return list(made.values())

    def _surroundings(self, places: list[Place], add: Any, last: int) -> None:
        soft = bool(self.ranking.suspects) and all(s.soft for s in self.ranking.suspects)
        for place in places if self.ranking.shapeless else ():
            for node in _returns(place):  # what is handed over may be another gradient
                add((place.scope, node), "repairs", -1, 0)
        for place in places:
            for scope, node, why in _nearby(place):
                bare = isinstance(getattr(node, "value", None), (ast.Name, ast.Subscript))
                extra = {"beside": 2.0, "indexes": 0.5 * self.ranking.alone}.get(why, 1.0)
                if soft and bare and why == "beside":
                    extra = 0.5
                rank = -1 if why == "indexes" and not self.ranking.alone else last
                add((scope, node), why, rank, extra)

    def run(self) -> list[Correction]:
        """Corrections, the best first."""
        with bounded_memory():
            return self._run()

    def _run(self) -> list[Correction]:
        """Try edits, cheapest first; one level of cost beyond the first that is right."""
        found = []
        for jobs in self._jobs(self.places()):
            for cost, place, edit in jobs:
                if self._over(cost, place):
                    break
                correction = self._tried(place, (edit,), cost)
                if correction is not None:
                    found.append(correction)
                    if self._stop is None:
                        self._stop, self._first = cost, self.tried
        best = self._ordered(found)
        if not best and not self.partial:
            best = sorted(self._ordered(list(self._parallel())), key=_oddity)
        if best[0].cost > 2 if best else not self.partial:
            forward = sorted(self._forward(bool(best)), key=lambda c: c.cost)
            first = forward and forward[0].cost < min((c.cost for c in best), default=9)
            best = [*forward, *best] if first else [*best, *forward]
        return best

    def _parallel(self) -> Iterator[Correction]:
        """The same change in lines that are alike, as people copy them: rows and columns."""
        groups: dict[Any, list[Place]] = {}
        for place in self.places(wide=True):
            block = place.scope.block(place.statement)
            kind = tuple(type(node) for node in ast.walk(place.statement))
            if block and len(kind) < 12:
                groups.setdefault((id(block), kind), []).append(place)
        self.tried = self._asked = 0
        for places in groups.values():
            if 2 <= len(places) <= 4:
                alike = [
                    {_shape(place, edit): edit for edit in _edits(place, 2)} for place in places
                ]
                for key, edit in alike[0].items():
                    if all(key in other for other in alike) and not self._spent():
                        edits = tuple(other[key] for other in alike)
                        made = self._tried(places[0], edits, edit.cost + 1)
                        if made is not None:
                            made.places = tuple(places)
                            yield made

    def _forward(self, corrected: bool) -> Iterator[Correction]:
        """Small changes of the forward pass which the backward pass, as it is, belongs to."""
        forward = {node.places[0][0] for node in self.study.forward.values() if node.places}
        tried = 0
        for k in sorted(forward - self.study.run_statements):
            found = self.scope_of(k)
            if found is None:
                continue
            place = Place(*found, "forward", 0, 0)
            for edit in Edits(*found, _WORDS).all():
                kinds = _AXES if corrected else _FORWARD
                if edit.kind in kinds and edit.cost <= 2 and tried < _FORWARD_TRIALS:
                    tried += 1
                    if self._fits_forward(place, edit):
                        yield Correction(place, (edit,), edit.cost, forward=True)

    def _fits_forward(self, place: Place, edit: Edit) -> bool:
        study = self.study
        name = study.wrong[0]
        try:
            with self.trials.changed(place.scope, (edit,)):
                _, gradients = self.runner.outcome(study.values)
                direction = np.random.default_rng(0).normal(size=study.values[name].shape)
                slope = self.runner.slope(study.values, name, direction)
                off = abs(slope - np.sum(gradients[name] * direction))
                if not off <= 1e-5 * abs(slope) or abs(slope) < 1e-6:
                    return False
                if not self.runner.right_elsewhere():
                    return False
            return self._does_as_much(place, edit)
        except Exception:
            return False

    def _does_as_much(self, place: Place, edit: Edit) -> bool:
        """Is every statement still executed, and does the cost still depend on what it did?

        A backward pass that has nothing to do is right whatever it says.
        """
        changed = Study(
            self._source(Correction(place, (edit,), 0)), self.parameters, self.study.values
        )
        changed.judge()
        executed = self.study.record.executed.keys() <= changed.record.executed.keys()
        return executed and _counting(self.study) <= _counting(changed)

    def _jobs(self, places: list[Place]) -> Iterator[list[Job]]:
        """First what has been sieved, near and far; then the rest, in bands of cost.

        What costs more than a change that is right is not made up.
        """
        yield list(self._copies())
        sieves = {place: sieve for place in places if (sieve := self._sieve(place)) is not None}
        lacking: list[tuple[Place, Missing]] = []
        added: list[Job] = []
        for i, (low, high) in enumerate(itertools.pairwise(_SIEVED_BANDS)):
            jobs: list[Job] = []
            for place, sieve in sieves.items() if self._stop is None else ():
                every = _edits(place, int(high - place.extra), _SIEVED)
                edits = [edit for edit in every if low < edit.cost + place.extra <= high]
                jobs += [(e.cost + place.extra, place, e) for e in sieve.passed(edits)]
            yield self._in_order(jobs)
            if self._stop is None:
                lacking = lacking or list(self._lacking(places))
                added += _additions(lacking, inside=i > 0) if i < 2 else ()
                yield self._in_order([job for job in added if job[0] <= high])
                added = [job for job in added if job[0] > high]
        rest = [place for place in places if place not in sieves]
        steps = ((2, _BANDS[:2]), (_BANDS[-1], _BANDS[1:]))
        for top, bands in steps if self._stop is None else ((_BANDS[-1], _BANDS[::4]),):
            jobs = []
            for place in rest if self._stop is None or bands[0] < self._stop else ():
                if not self._spent():
                    most = min(int(top - place.extra * (top > 2)), self._limit(place) - place.extra)
                    jobs += [(e.cost + place.extra, place, e) for e in _edits(place, most)]
            for low, high in itertools.pairwise(bands):
                if self._stop is None or low < self._stop:
                    yield self._in_order([job for job in jobs if low < job[0] <= high])

    def _in_order(self, jobs: list[Job]) -> list[Job]:
        """The cheapest first; once something is right, those of the suspects before others."""

        def order(job: Job) -> tuple[Any, ...]:
            cost, place, edit = job
            return self._stop is not None and not place.own, cost, edit.cost, place.rank

        return sorted(jobs, key=order)

    def _copies(self) -> Iterator[Job]:
        """Copies of what has two names and is written into: no numbers at a line replace one."""
        written = functools.cache(written_in)
        for k in sorted(self.study.record.executed):
            found = self.scope_of(k)
            if found is not None:
                place = Place(*found, "repairs", 0, 0)
                yield from ((edit.cost, place, edit) for edit in copies(*found, written))

    def _lacking(self, places: list[Place]) -> Iterator[tuple[Place, Missing]]:
        """What is asked by its numbers what it lacks."""
        sites = self.ranking.sites
        for place in places[:_LACKING]:
            suspect = place.suspect
            if suspect is None or suspect.solution is None:
                continue
            k, solution = suspect.statement, suspect.solution
            place.asked = bool(place.formulas)
            for i, formula in enumerate(place.formulas):
                for effect in effects(sites, suspect.results, solution, i):
                    yield place, Missing(
                        self.trials, self.runner, self.study.values, place.scope, place.statement,
                        sites.spread(k, effect.shapes), effect, *formula,
                    )  # fmt: skip

    def _sieve(self, place: Place) -> Sieve | None:
        """What sieves the edits of a place, where it is known which numbers it needs."""
        suspect = place.suspect
        if suspect is None or suspect.solution is None or place.why == "empty":
            return None
        if place not in self._sieves and place.formula is not None:
            self._sieves[place] = Sieve(
                self.trials, self.runner, self.study.values, place.scope, place.statement,
                place.formula, self.ranking.sites, suspect,
            )  # fmt: skip
        made = self._sieves.get(place)
        return made if made is not None and made.ready else None

    def _spent(self) -> bool:
        """Has enough been tried? Not by the clock, unless changes make the code slow.

        To read the clock takes as long as a trial, so it is read now and then.
        """
        if self.tried >= self._asked:
            self._asked = self.tried + _NOW_AND_THEN
            self._late = time.process_time() > self._until
        return self._late or self.tried >= self._most

    def _limit(self, place: Place) -> float:
        """What costs more at a place is not tried, as something cheaper is right."""
        if self._stop is None:
            return _BANDS[-1] + place.extra
        return self._stop + (1 if self._stop <= 2 and place.own else 0)

    def _over(self, cost: float, place: Place) -> bool:
        if self._spent():
            return True
        if self._stop is None:
            return False
        return self.tried > self._first + _AFTER or cost > self._limit(place)

    def _tried(self, place: Place, edits: tuple[Edit, ...], cost: float) -> Correction | None:
        self.tried += 1
        study = self.study
        try:
            with self.trials.changed(place.scope, edits):
                found, gradients = self.runner.outcome(study.values)
                if not abs(found - self._cost) <= 1e-9 * max(1, abs(self._cost)):
                    return None
                wrong = wrong_among(gradients, study.truth, 1e-6)
                if wrong:
                    fewer = len(wrong) < len(study.wrong) and set(wrong) < set(study.wrong)
                    right = False
                else:
                    fewer, right = False, self.runner.right_elsewhere()
        except Exception:  # a change may make anything of the code
            return None
        if not (fewer or right):
            return None
        correction = Correction(place, edits, cost)
        if fewer:
            correction.natural = -len(wrong)
            self.partial.append(correction)
            return None
        return correction

    def best_partial(self) -> Correction | None:
        """The change after which the fewest gradients are wrong, right ones staying right."""
        return min(self.partial, key=lambda c: (-c.natural, c.cost, c.place.rank), default=None)

    def _ordered(self, found: list[Correction]) -> list[Correction]:
        """Those after which most values are gradients of something, then the cheapest."""
        found = sorted(found, key=lambda c: (c.cost, c.edits[0].cost, c.place.rank))
        found = list({c.text: c for c in reversed(found[: 2 * _COMPARED])}.values())[::-1]
        found = found[:_COMPARED]
        cheapest = min((c.cost for c in found), default=0)  # what costs much more comes after it
        alike: dict[Any, int] = {}  # a change of the same line, of the same kind, does the same
        for correction in found if len(found) > 1 else ():
            if correction.cost <= cheapest + _NATURAL:
                key = correction.line, correction.edits[0].kind
                if key not in alike:
                    alike[key] = self._natural(correction)
                correction.natural = alike[key]
        best = max((c.natural for c in found), default=0)
        return sorted(found, key=lambda c: (
            c.cost - _NATURAL * (c.natural == best), c.cost, c.edits[0].cost, -c.natural,
            c.edits[0].kind == "swap", self._early(c), c.place.rank,
        ))  # fmt: skip

    def _early(self, correction: Correction) -> tuple[bool, int]:
        """Is something multiplied with where no gradient has come to yet? The later, the better."""
        suspect, edit = correction.place.suspect, correction.edits[0]
        if suspect is None or edit.kind != "factor":
            return False, 0
        if names_used(edit.new) <= names_used(edit.node):
            return False, 0
        above = ancestors(node for made in suspect.results for node in made)
        divides = isinstance(edit.new, ast.BinOp) and isinstance(edit.new.op, ast.Div)
        early = not divides and above.keys().isdisjoint(self.ranking.certificates.certified)
        return early, -suspect.first if early else 0

    def _natural(self, correction: Correction) -> int:
        try:
            study = Study(self._source(correction), self.parameters, self.study.values)
            study.judge()
            return natural(study)
        except Exception:
            return 0

    def _source(self, correction: Correction) -> Source:
        file = correction.place.scope.unit.file
        texts = {**self.source.texts, file: correction.text}
        return Source(self.source.run, texts, self.source.shapes)


def _counting(study: Study) -> set[int]:
    """The numbers of the statements that made something the cost depends on."""
    return {
        node.places[0][0] for number, node in study.forward.items()
        if node.places and np.abs(study.truths.of.get(number, 0)).max() > _NOTHING
    }  # fmt: skip


def _additions(lacking: list[tuple[Place, Missing]], inside: bool) -> Iterator[Job]:
    """What is found by the numbers that are missing, in all or inside of formulas."""
    for place, missing in lacking:
        for edit in missing.edits_inside() if inside else missing.edits():
            # Of a sum that nothing has been added to, a statement is what is missing.
            empty = place.why == "empty" and edit.kind == "insert"
            yield edit.cost + place.extra - empty, place, edit


def _returns(place: Place) -> list[Any]:
    function = place.scope.function(place.statement)
    return [node for node in ast.walk(function) if isinstance(node, ast.Return) and node.value]


def _edits(place: Place, top: float, words: int = _WORDS) -> Iterator[Edit]:
    if place.why == "empty" and not place.asked:
        for edit in Additions(place.scope, place.statement, words).never_added(place.wrong):
            if edit.cost <= top:
                yield edit
    for edit in Edits(place.scope, place.statement, words, place.changed).all():
        if edit.cost <= top:
            yield edit
    if top >= 2:
        for edit in Additions(place.scope, place.statement, words, place.changed).all(top):
            if edit.cost <= top:
                yield edit


def _oddity(correction: Correction) -> tuple[bool, int, int]:
    """Of equal corrections: a name that was made and has not been read yet is what is missing."""
    place, edit = correction.place, correction.edits[0]
    constants = sum(isinstance(node, ast.Constant) for node in ast.walk(edit.new))
    read = [n.id for n in ast.walk(place.scope.function(place.statement))
            if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)]  # fmt: skip
    names = [n.id for n in ast.walk(edit.new) if isinstance(n, ast.Name)]
    return edit.kind != "factor", constants, min(map(read.count, names), default=0)


def _shape(place: Place, edit: Edit) -> Any:
    """What an edit does, whatever the names it is done to."""
    if isinstance(edit.node, list):
        return edit.kind, edit.new
    at = next(i for i, node in enumerate(ast.walk(place.statement)) if node is edit.node)
    new = edit.new if hasattr(edit.new, "lineno") else ast.fix_missing_locations(edit.new)
    return edit.kind, at, ast.unparse(new).replace(ast.unparse(edit.node), "…")


def _nearby(place: Place) -> Iterator[tuple[Scope, Any, str]]:
    scope, statement = place.scope, place.statement
    for node in (*scope.around(statement), *_returns(place)):
        yield scope, node, "around"
    used = names_used(statement)
    indices = {
        n.id for part in ast.walk(statement) if isinstance(part, ast.Subscript)
        for n in ast.walk(part.slice) if isinstance(n, ast.Name)
    }  # fmt: skip
    block = scope.block(statement)
    for node in ast.walk(scope.function(statement)):
        if isinstance(node, (ast.Assign, ast.AugAssign)):
            names = {n.id for t in targets_of(node) for n in ast.walk(t) if isinstance(n, ast.Name)}
            if names & used:
                yield scope, node, "indexes" if names & indices else "feeds"
        if isinstance(node, (ast.Expr, ast.Assign, ast.AugAssign)) and node in block:
            yield scope, node, "beside"
