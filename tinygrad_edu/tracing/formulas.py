"""Which formulas of a statement computed the results that were recorded of it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any, NamedTuple

from tinygrad_edu.tracing.edits import targets_of
from tinygrad_edu.tracing.ranking import Suspect
from tinygrad_edu.tracing.repair import Sites

#: What computes nothing, and what makes no array.
_NAMED = (ast.Name, ast.Attribute, ast.Subscript, ast.Constant)
_NO_ARRAY = (ast.Constant, ast.List, ast.ListComp, ast.Dict, ast.DictComp)


class Formula(NamedTuple):
    """What gives a target its value; None where one of them is not in the statement by itself."""

    target: Any
    value: Any


def formulas(sites: Sites, suspect: Suspect, statement: Any) -> list[Formula]:
    """The formulas of the results that a suspect needs to be others; none where they are unknown.

    `statement`: the suspect's, in the tree that edits are made in.
    """
    k = suspect.statement
    if suspect.solution is None:
        return []
    given = list(_handed(statement) if k in sites.hand_over else _given(statement))
    if any(len(made) != len(given) for made in sites.results[k]):
        return []
    return given if suspect.part is None else [given[suspect.part]]


def _given(statement: Any) -> Iterator[Formula]:
    """The formulas of what a statement assigns, or hands back."""
    targets, value = targets_of(statement), getattr(statement, "value", None)
    whole = value if isinstance(value, ast.expr) else None
    if isinstance(value, ast.Tuple):
        for i, part in enumerate(value.elts):
            values = part.values if isinstance(part, ast.Dict) and not targets else [part]
            for x in values:
                if not isinstance(x, _NO_ARRAY if targets else _NAMED):
                    yield Formula(targets[i] if targets else None, x)
    elif len(targets) > 1:
        yield from (Formula(target, None) for target in targets)
    elif targets or isinstance(statement, ast.Return):
        yield Formula(targets[0] if targets else None, whole)


def _handed(statement: Any) -> Iterator[Formula]:
    """The formulas among a call's arguments: what is computed to be handed over."""
    value = getattr(statement, "value", None)
    for x in value.args if isinstance(value, ast.Call) else ():
        if not isinstance(x, _NAMED):
            yield Formula(None, x)
