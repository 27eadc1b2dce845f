"""What is said of a sheet beside its verdicts: lines that look like claims and are not judged."""

from __future__ import annotations

from tinygrad_edu.core.sweep import reachable
from tinygrad_edu.sheets.claims import claimed, doubt, look_alikes
from tinygrad_edu.sheets.lines import Statement
from tinygrad_edu.sheets.sheet import Sheet
from tinygrad_edu.words import say

CLAIMS_NOTHING = say("remark.nothing")


def remarks_on(sheet: Sheet) -> list[str]:
    """Remarks on the lines of a sheet that nobody judges."""
    said = [] if sheet.claims or sheet.jacobians else [CLAIMS_NOTHING]
    return said + _too_early(sheet) + _misnamed(sheet)


def _too_early(sheet: Sheet) -> list[str]:
    """Lines that look like claims but stand above the cost, where nothing is judged."""
    used = set(reachable(sheet.cost, every=True))
    known = {*sheet.givens, *(statement.name for statement in sheet.forward)}
    return [
        say("remark.above", name=s.name, line=s.line, cost=sheet.cost_name)
        for s in sheet.above_cost
        if claimed(s.name, known) and not any(sheet.main.values[s.key] is node for node in used)
    ]


def _misnamed(sheet: Sheet) -> list[str]:
    """Lines below the cost that look like claims and fit no quantity: dZl where there is a Z1."""
    known = {*sheet.givens, *(statement.name for statement in sheet.above_cost)}
    alike = look_alikes(sorted(known - {claim.of for claim in sheet.claims.values()}))
    found = {}
    for statement in _below_cost(sheet):
        name = statement.name
        if name not in known and claimed(name, known) is None:
            why = doubt(name, alike)
            if why is not None:
                found[name] = say("remark.misnamed", name=name, line=statement.line, why=why)
    return list(found.values())


def _below_cost(sheet: Sheet) -> list[Statement]:
    return sheet.forward[len(sheet.above_cost) :] + sheet.backward
