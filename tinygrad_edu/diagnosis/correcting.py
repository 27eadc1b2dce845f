"""The correction of one line: in the places where a formula of it stands, the nearest one."""

from __future__ import annotations

import itertools

import numpy as np

from tinygrad_edu.checking.verdict import Judgement
from tinygrad_edu.diagnosis.context import Context
from tinygrad_edu.diagnosis.edits import Edit
from tinygrad_edu.diagnosis.places import Place
from tinygrad_edu.diagnosis.search import Correction, search_for
from tinygrad_edu.diagnosis.words import LONGEST_PIECE, visible_keys
from tinygrad_edu.sheets.lines import Statement
from tinygrad_edu.sheets.syntax import Expr, assigns, walk

#: So many parts of other lines are words of a line.
_MOST_PIECES = 60


def correct(
    context: Context, judgement: Judgement, places: list[Place], rules: list[Expr]
) -> tuple[Correction | None, Place]:
    """The smallest correction of a line; where none is near, of the line with its steps put in."""
    statement = judgement.claim.last
    if statement.turn:
        rules = []  # of all turns together
    own = _own_pieces(context, statement)
    best: tuple[Correction, Place] | None = None
    for place in places:
        search = search_for(context, judgement, place, rules, own + place.pieces())
        chosen = search.run(pairs=not statement.turn)
        if chosen is None:
            continue
        if best is None or chosen.cost < best[0].cost:
            best = chosen, place
        if best[0].cost <= 6 or chosen.edit.kind != "rule":
            break
    if best is not None:
        return best
    whole = Place(context, statement, statement.expr)
    if not rules or not assigns(statement.expr):
        return None, whole
    edit = Edit(rules[0], "rule", (statement.expr,), (rules[0],))  # below all that was written
    return Correction(edit, whole.text(rules[0]), 0), whole


def _own_pieces(context: Context, statement: Statement) -> list[Expr]:
    """Parts of the learner's other lines that mean something here."""
    visible = visible_keys(context, statement)
    found = (
        e
        for other in context.sheet.backward
        if other is not statement and other.expr.length <= LONGEST_PIECE
        for e in walk(other.expr)[1:]
        if e.op not in ("name", "number") and e.names <= visible
        if isinstance(context.value(e), np.ndarray)
    )
    return list(itertools.islice(found, _MOST_PIECES))
