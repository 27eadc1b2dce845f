"""The scratch line at fault: a line that is wrong only because of one that claims nothing.

``gH = dh * h * (1 - h)`` is no gradient that the checker knows, so it is not judged; the lines that
read it are. Where the mistake is there, these are told so.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Container, Iterable, Sequence
from functools import cached_property
from typing import NamedTuple

from tinygrad_edu import words
from tinygrad_edu.checking.verdict import Judgement
from tinygrad_edu.diagnosis.context import Context
from tinygrad_edu.diagnosis.places import Place, place_above, places_above, places_of
from tinygrad_edu.diagnosis.search import Correction, CorrectionSearch, search_for
from tinygrad_edu.diagnosis.statements import line_as
from tinygrad_edu.diagnosis.suspects import Suspects
from tinygrad_edu.diagnosis.words import visible_keys
from tinygrad_edu.sheets.lines import Key, Statement
from tinygrad_edu.sheets.syntax import Expr, SheetError

#: So much less than in a line itself has to be changed in another, in tokens, to be the one told.
_LESS = 2.0


class Fault(NamedTuple):
    """A scratch line, the formula with which a line that reads it is right, and a sentence."""

    statement: Statement
    right: Expr
    says: str


class ScratchLines:
    """The scratch lines of a sheet that stand by themselves, `readers`: the judged lines that are
    computed from each; `common`: by the name of a claim, what is at fault for several.

    `wrong`: the lines to be explained; `told`: what was found to be at fault for one."""

    def __init__(self, context: Context, wrong: Sequence[Judgement]) -> None:
        self.context, self.wrong = context, wrong
        self.told: Fault | None = None
        self.common: dict[str, Fault] = {}
        self.readers: dict[Key, list[Judgement]] = {}
        for judgement in context.judged.judgements.values():
            for s in context.sources(judgement.claim.last):
                if _as_it_stands(s):
                    self.readers.setdefault(s.key, []).append(judgement)

    @cached_property
    def suspects(self) -> Suspects:
        """The lines in which the mistake most likely is."""
        return Suspects(self.context)

    def fault(self, judgement: Judgement, own: Correction | None) -> Fault | None:
        """The scratch line at fault for a wrong line; `own` is that line's own correction."""
        common = self.common.get(judgement.claim.name)
        if own is None:
            return common or self.above(judgement)
        return self._replaced(judgement, own.edit.expr) or common or self._nearer(judgement, own)

    def _nearer(self, judgement: Judgement, own: Correction) -> Fault | None:
        """The scratch line that this line alone reads, where less has to be changed there."""
        best, line = own.cost - _LESS, judgement.claim.last
        fault = None
        for statement in self.context.sources(line) if best > 0 else ():
            if self.readers.get(statement.key) == [judgement]:
                place = place_above(self.context, statement, line)
                found = self._search(judgement, place).run_near()
                if found is not None and found.cost < best:
                    best, fault = found.cost, _fault(statement, found.edit.expr)
        return fault

    def above(self, judgement: Judgement) -> Fault | None:
        """The scratch line above of which a small change makes a line right, where none of its own
        does. Once one was found, a line that it does not mend has a mistake of its own."""
        if judgement.claim.name in self.common:
            return self.common[judgement.claim.name]
        if self.told is None:
            self.told = self._above(judgement)
            return self.told
        return self.told if self._mends(self.told, judgement) else None

    def _above(self, judgement: Judgement) -> Fault | None:
        line = judgement.claim.last
        places = list(places_above(self.context, line))
        own = [place for place in places if place.statement is line]
        if any(self._search(judgement, place).run_near() for place in own):
            return None
        above = [place for place in places if place not in own]
        suspect = [place for place in above if place.statement in self.suspects]
        for several in (suspect, [place for place in above if place not in suspect]):
            for place in several:
                found = self._search(judgement, place).run_near()
                if found is not None:
                    return _fault_of(place, found)
            in_loops = [place for place in several if place.statement.turn]
            lacking = self._lacking(judgement, in_loops, lambda place: place.words())
            if lacking is not None:
                return lacking
        in_loops = [place for place in above if place.statement.turn]
        return self._lacking(judgement, in_loops, self._products)

    def _lacking(
        self, judgement: Judgement, places: Sequence[Place],
        terms: Callable[[Place], Iterable[Expr]],
    ) -> Fault | None:  # fmt: skip
        """The scratch line of a loop that lacks one of its terms: that which mends most lines."""
        others = [j for j in self.wrong if j is not judgement and j.claim.last.turn]
        best: tuple[int, Fault] | None = None
        for place in places:
            found = self._search(judgement, place).run_terms(terms(place))
            if found is not None:
                fault = _fault_of(place, found)
                mended = sum(self._mends(fault, other) for other in others)
                if best is None or mended > best[0]:
                    best = mended, fault
                if mended == len(others):
                    break
        return None if best is None else best[1]

    def _products(self, place: Place) -> list[Expr]:
        """Products of two words, for what is handed on to the next turn: another path is one."""
        pairs = itertools.combinations(place.words() if place.is_carried() else (), 2)
        return [self.context.formulas.make("*", x, y) for x, y in pairs]

    def _mends(self, fault: Fault, judgement: Judgement) -> bool:
        """Is a line right with a change of a line above it?"""
        with contextlib.suppress(SheetError, SyntaxError, ValueError):
            place = place_above(self.context, fault.statement, judgement.claim.last)
            return self._search(judgement, place).right(fault.right)
        return False

    def _search(self, judgement: Judgement, place: Place) -> CorrectionSearch:
        return search_for(self.context, judgement, place, [], [])

    def find_common(self) -> None:
        """Find the lines of which a small change makes right all that is computed from them, at
        least two lines, all wrong; where several do, the one that has to change least counts."""
        context, found = self.context, list[tuple[float, Fault, list[Judgement]]]()
        names = {judgement.claim.name for judgement in self.wrong}
        for statement in context.sheet.backward:
            readers = self.readers.get(statement.key, [])
            if len(readers) < 2 or any(j.claim.name not in names for j in readers):
                continue
            with contextlib.suppress(SheetError, SyntaxError):
                places = [(j, place_above(context, statement, j.claim.last)) for j in readers]
                searches = [self._search(j, place) for j, place in places]
                nearest = searches[0].run_near()
                if nearest is not None and all(s.right(nearest.edit.expr) for s in searches):
                    found.append((nearest.cost, _fault(statement, nearest.edit.expr), readers))
        found.sort(key=lambda one: -one[0])  # the least, and of equal ones the last, is put in last
        self.common = {j.claim.name: fault for _, fault, readers in found for j in readers}
        self._find_in_loops()

    def _find_in_loops(self) -> None:
        """Find the line of a loop, itself a claim, of which a small change mends all others too:
        where gradients are carried from turn to turn, one makes the others wrong."""
        wrong = [judgement for judgement in self.wrong if judgement.claim.last.turn]
        carried = [j for j in wrong if not j.claim.last.plain and self._is_read_by_others(j, wrong)]
        for judgement in carried:
            for place in places_of(self.context, judgement.claim.last):
                found = self._search(judgement, place).run_near()
                others = [j for j in wrong if j is not judgement]
                if found is not None and all(
                    self._mends(_fault_of(place, found), j) for j in others
                ):
                    self.common |= {j.claim.name: _fault_of(place, found) for j in others}
                    return

    def _is_read_by_others(self, judgement: Judgement, wrong: Sequence[Judgement]) -> bool:
        """Do the lines of other wrong claims read what a line has written?"""
        name = judgement.claim.name
        others = (s for j in wrong if j is not judgement for s in j.claim.statements)
        return any(name == read for s in others for read, _ in s.expr.names)

    def _replaced(self, judgement: Judgement, fixed: Expr) -> Fault | None:
        """The scratch line whose name only stands for something else in a correction.

        None where a line that is right reads the name as it is.
        """
        context, line = self.context, judgement.claim.last
        scratch = {context.name(s.key): s for s in context.sources(line) if _as_it_stands(s)}
        found: dict[Expr, Expr] = {}
        stands = _stands_for(line.expr, fixed, scratch, found)
        changed = [(name, new) for name, new in found.items() if name is not new]
        if not stands or len(changed) != 1:
            return None
        [(name, right)] = changed
        if right.op == "name":  # a name taken for another is a mistake of the line that reads it
            return None
        statement, final = scratch[name], context.judged.final
        if any(j.verdict != "wrong" for j in self.readers[statement.key]):
            return None
        above = [s for s in context.above(statement) if s.key not in final and not s.turn]
        lines = [s for s in (*context.sheet.forward, *above) if s.plain]
        right = context.formulas.substituted(right, {s.expr: context.name(s.key) for s in lines})
        if not right.names <= visible_keys(context, statement):
            return None
        return _fault(statement, right)


def _fault_of(place: Place, found: Correction) -> Fault:
    says = words.say("diagnosis.above", line=place.statement.line, formula=found.text)
    return Fault(place.statement, found.edit.expr, says)


def _fault(statement: Statement, right: Expr) -> Fault:
    return Fault(statement, right, line_as(statement.line, statement.name, right).says)


def _as_it_stands(statement: Statement) -> bool:
    """Is a line ``NAME = formula``, and in no loop?"""
    return statement.plain and not statement.turn


def _stands_for(old: Expr, new: Expr, names: Container[Expr], found: dict[Expr, Expr]) -> bool:
    """Is a formula another one with something put in for some names? What, goes to `found`."""
    if old in names:
        return found.setdefault(old, new) is new
    if old.op != new.op or old.extra != new.extra or len(old.args) != len(new.args):
        return False
    return all(_stands_for(a, b, names, found) for a, b in zip(old.args, new.args, strict=True))
