"""The scratch line at fault: a line that is wrong only because of one that claims nothing.

``gH = dh * h * (1 - h)`` is no gradient that the checker knows, so it is not judged; the lines that
read it are. Where the mistake is there, these are told so.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Callable, Container, Iterable, Sequence
from typing import NamedTuple

from tinygrad_edu import words
from tinygrad_edu.checking.verdict import Judgement, judge
from tinygrad_edu.diagnosis.activations import context_of
from tinygrad_edu.diagnosis.context import Context
from tinygrad_edu.diagnosis.correcting import correct
from tinygrad_edu.diagnosis.places import Place, place_above, places_above, places_of
from tinygrad_edu.diagnosis.search import Correction, CorrectionSearch, search_for
from tinygrad_edu.diagnosis.statements import line_as
from tinygrad_edu.diagnosis.suspects import Suspects
from tinygrad_edu.diagnosis.words import visible_keys
from tinygrad_edu.sheets.lines import Key, Statement
from tinygrad_edu.sheets.syntax import Expr, SheetError, show

#: So much less than in a line itself has to be changed in another, in tokens, to be the one told.
_LESS = 2.0
#: A correction of so many tokens may be of another line's mistake.
_FAR = 8.0
#: So many formulas are tried to be one of two that are to be mended.
_MOST_LIKELY = 3


class Fault(NamedTuple):
    """A scratch line, the formula with which a line that reads it is right, the line with it, and a
    sentence; with `beside`, another line is to be mended too, in the sheet where this one is."""

    statement: Statement
    right: Expr
    text: str
    says: str
    beside: Beside | None = None


class Beside(NamedTuple):
    """A mended sheet, and what is at fault there besides; None for the judged line itself."""

    lines: ScratchLines
    fault: Fault | None


class ScratchLines:
    """The scratch lines of a sheet that stand by themselves, `readers`: the judged lines that are
    computed from each; `common`: by the name of a claim, what is at fault for several.

    `wrong`: the lines to be explained; `told`: what was found to be at fault for one."""

    def __init__(self, context: Context, wrong: Sequence[Judgement], is_first: bool = True) -> None:
        self.context, self.judged, self.wrong = context, context.judged, wrong
        self.is_first = is_first  # and not the sheet with a line mended
        self.told: Fault | None = None
        self.is_sought = False  # for several lines below a loop
        #: The sheets in which a line is mended, by the line and its text.
        self.mended: dict[tuple[int, str], ScratchLines | None] = {}
        self.common: dict[str, Fault] = {}
        self.readers: dict[Key, list[Judgement]] = {}
        for judgement in context.judged.judgements.values():
            for s in context.sources(judgement.claim.last):
                if _as_it_stands(s):
                    self.readers.setdefault(s.key, []).append(judgement)

    @functools.cached_property
    def suspects(self) -> Suspects:
        """The lines in which the mistake most likely is."""
        return Suspects(self.context)

    def fault(self, judgement: Judgement, own: Correction | None) -> Fault | None:
        """The scratch line at fault for a wrong line; `own` is that line's own correction."""
        common = self.common.get(judgement.claim.name)
        if own is None:
            return common or self.above(judgement)
        found = self._replaced(judgement, own.edit.expr) or common or self._nearer(judgement, own)
        if found is None and self.told is not None and own.cost > _FAR:
            told = self.told
            found = self._beside(judgement, told.statement, told.right, told.text)
        return found

    def _nearer(self, judgement: Judgement, own: Correction) -> Fault | None:
        """The scratch line that only wrong lines read, where less has to be changed there."""
        best, line = own.cost - _LESS, judgement.claim.last
        fault = None
        for statement in self.context.sources(line) if best > 0 else ():
            readers = self.readers.get(statement.key, [])
            if readers and all(reader.verdict == "wrong" for reader in readers):
                place = place_above(self.context, statement, line)
                found = self._search(judgement, place).run_near()
                if found is not None and found.cost < best:
                    best, fault = found.cost, _fault(statement, found.edit.expr)
        self.told = self.told or fault
        return fault

    def told_for(self, judgement: Judgement) -> Fault | None:
        """The line of a loop that was found to be at fault for others, where it is for this too."""
        if self.told is None and not self.is_sought:
            self._seek_common(judgement)
        return self.told if self.told is not None and self._mends(self.told, judgement) else None

    def _seek_common(self, judgement: Judgement) -> None:
        """Find what is at fault for a line below a loop and for another one."""
        if any(s.turn for s in self.context.sources(judgement.claim.last)):
            others = [j for j in self.wrong if j is not judgement and not j.claim.last.turn]
            self.is_sought = True
            fault = self._above(judgement) if others else None
            if fault is not None and any(self._mends(fault, other) for other in others):
                self.told = fault

    def above(self, judgement: Judgement) -> Fault | None:
        """The scratch line above of which a small change makes a line right, where none of its own
        does. Once one was found, a line that it does not mend has a mistake of its own."""
        if judgement.claim.name in self.common:
            return self.common[judgement.claim.name]
        if self.told is None:
            self.told = self._above(judgement)
            return self.told
        return self.told_for(judgement) or self._beside(
            judgement, self.told.statement, self.told.right, self.told.text
        )

    def _above(self, judgement: Judgement) -> Fault | None:
        line = judgement.claim.last
        places = list(places_above(self.context, line))
        own = [place for place in places if place.statement is line]
        if any(self._search(judgement, place).run_near() for place in own):
            return None
        above = [place for place in places if place not in own]
        suspect = [place for place in above if self.suspects.turn_of(place.statement)]
        rest = [place for place in above if place not in suspect] if self.is_first else []
        for several in (suspect, rest):
            for place in several:
                found = self._search(judgement, place).run_near()
                fault = None if found is None else _fault_of(place, found)
                if fault is not None and self._is_harmless(fault):
                    return fault
            in_loops = [place for place in several if place.statement.turn]
            lacking = self._lacking(judgement, in_loops, lambda place: place.words())
            fault = lacking or (self._likely(judgement, several) if several is suspect else None)
            if fault is not None:
                return fault
        in_loops = [place for place in (*suspect, *rest) if place.statement.turn]
        return self._lacking(judgement, in_loops, self._products)

    def _likely(self, judgement: Judgement, places: Sequence[Place]) -> Fault | None:
        """The line with which, in the turn where it first is none, it is the gradient of a node."""
        found = [(self.suspects.turn_of(place.statement), place) for place in places]
        doubtful = [(turn, place) for turn, place in found if turn is not None]
        for turn, place in sorted(doubtful, key=lambda one: self.suspects.rank(one[0])):
            words = place.words()
            search = search_for(self.context, judgement, place, [], words, only_pieces=bool(words))
            right = functools.partial(self.suspects.would_be_right, place, turn)
            correction = search.run_likely(right)
            fault = None if correction is None else _fault_of(place, correction)
            if fault is not None and self._is_harmless(fault):
                return fault
            for e in search.only_likely[:_MOST_LIKELY]:
                fault = self._beside(judgement, place.statement, e, place.text(e))
                if fault is not None:
                    return fault
        return None

    def _beside(
        self, judgement: Judgement, statement: Statement, right: Expr, text: str
    ) -> Fault | None:
        """With one line mended, the other that is at fault, or the judged line."""
        lines = self._with(statement, text)
        other = None if lines is None else lines.judged.judgements.get(judgement.claim.name)
        if lines is None or other is None or other.verdict != "wrong" or not other.truth:
            return None
        line, own = other.claim.last, None
        several = [j for j in lines.wrong if j is not other]
        fault = lines.above(other) if several else None
        if fault is None or not any(lines._mends(fault, j) for j in several):
            places = list(places_of(lines.context, line))
            if line.turn:
                near = (lines._search(other, place).run_near() for place in places)
                own = next(filter(None, near), None)
            else:
                own, _ = correct(lines.context, other, places, [])
            fault = None if line.turn and own else lines.fault(other, own)
        if fault is not None:
            also, its = fault.statement.line, fault.text
        elif own is not None:
            also, its = line.line, own.text
        else:
            return None
        says = words.say(
            "diagnosis.two_above", line=statement.line, formula=text, other=also, its=its
        )
        return Fault(statement, right, text, says, Beside(lines, fault))

    def _with(self, statement: Statement, text: str) -> ScratchLines | None:
        """The sheet with a line mended, judged; None where it cannot be, or is one already."""
        place = statement.line, text
        if place not in self.mended:
            self.mended[place] = None
            sheet = self.context.sheet.with_line(statement, text) if self.is_first else None
            examples = self.judged.examples
            if sheet is not None:
                m = examples.m if examples is not None and examples.told else None
                judged, _ = judge(sheet, self.judged.convention, m)
                context = context_of(judged, self.context.account)
                wrong = [j for j in judged.judgements.values() if j.verdict == "wrong" and j.truth]
                self.mended[place] = ScratchLines(context, wrong, is_first=False)
        return self.mended[place]

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
                if (best is None or mended > best[0]) and self._is_harmless(fault):
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
        if fault.beside is not None:
            other = fault.beside.lines.judged.judgements.get(judgement.claim.name)
            inner = fault.beside.fault
            return (
                other is not None and inner is not None and fault.beside.lines._mends(inner, other)
            )
        with contextlib.suppress(SheetError, SyntaxError, ValueError):
            place = place_above(self.context, fault.statement, judgement.claim.last)
            return self._search(judgement, place).right(fault.right)
        return False

    def _is_harmless(self, fault: Fault) -> bool:
        """Does a change of a line leave right what is right and computed from it?"""
        here = (fault.statement.line, fault.statement.name)
        return all(
            self._mends(fault, j)
            for j in self.judged.judgements.values()
            if j.verdict == "correct" and j.truth is not None
            if any((s.line, s.name) == here for s in self.context.sources(j.claim.last))
        )

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
    return Fault(place.statement, found.edit.expr, found.text, says)


def _fault(statement: Statement, right: Expr) -> Fault:
    text = f"{statement.name} = {show(right)}"
    return Fault(statement, right, text, line_as(statement.line, statement.name, right).says)


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
