"""Loops with constant bounds, written out: ``for t in range(3):``, ``for W in [W1, W2]:``."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tinygrad_edu.sheets.account import CHARACTER, Account
from tinygrad_edu.sheets.syntax import error_at

#: No loop has more turns than this.
MOST_TURNS = 2_000
#: What a turn costs before anything stands in it.
_TURN = 10_000
#: What needs no brackets around it, wherever it is put.
_ATOMS = (ast.Name, ast.Attribute, ast.Call, ast.Subscript, ast.List, ast.Constant)


def items(
    node: ast.expr, number: Callable[[ast.expr], Any], account: Account
) -> Sequence[ast.expr]:
    """What a loop runs over, as formulas; `number` computes the bounds of a range.

    Raises SheetError for anything but a range, a list that is written out, and zip, enumerate or
    reversed of these; and where there are more than `MOST_TURNS`.
    """
    name = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
    if isinstance(node, (ast.List, ast.Tuple)):
        return node.elts
    if isinstance(node, ast.Call) and node.args and not node.keywords:
        if name == "range" and len(node.args) <= 3:
            bounds = [number(arg) for arg in node.args]
            try:
                found = range(*bounds)
            except (TypeError, ValueError):
                raise error_at("the bounds of range are whole numbers", node) from None
            if len(found) > MOST_TURNS:
                raise error_at(f"a loop in a sheet has at most {MOST_TURNS} turns", node)
            account.spend(_TURN * len(found))
            return [_constant(i) for i in found]
        inner = [items(arg, number, account) for arg in node.args]
        if name == "reversed" and len(inner) == 1:
            return inner[0][::-1]
        if name == "enumerate" and len(inner) == 1:
            inner, name = [[_constant(i) for i in range(len(inner[0]))], *inner], "zip"
        if name == "zip":
            return [ast.Tuple(list(row), ast.Load()) for row in zip(*inner)]
    raise error_at(
        "a loop in a sheet runs over range(n) or a list that is written out, [W1, W2], or over "
        "zip, enumerate or reversed of these",
        node,
    )


def standing_for(target: ast.expr, item: ast.expr) -> Iterator[tuple[str, str]]:
    """What the names of a loop stand for in one turn: each with the text to put in its place."""
    if isinstance(target, ast.Name):
        text = ast.unparse(item)
        yield target.id, text if isinstance(item, _ATOMS) else f"({text})"
    elif (
        isinstance(target, (ast.Tuple, ast.List))
        and isinstance(item, (ast.Tuple, ast.List))
        and len(target.elts) == len(item.elts)
    ):
        for part, own in zip(target.elts, item.elts):
            yield from standing_for(part, own)
    else:
        raise error_at(f"{ast.unparse(item)[:40]} does not fit {ast.unparse(target)[:40]}", target)


def replaced(
    rows: list[bytes], loop: ast.For, texts: dict[str, str], account: Account
) -> list[bytes]:
    """The lines of a loop's body, `rows`, with texts in the places of the loop's names.

    What stands before the body in its first line is blank.
    """
    first, new = loop.body[0], list(rows)
    start = first.lineno - 1
    inside = list(ast.walk(loop))
    names = [part for part in inside if isinstance(part, ast.Name) and part.id in texts]
    # An array that the loop runs over is changed in its place: W += … is that of its own name.
    in_place = {part.target for part in inside if isinstance(part, ast.AugAssign)}
    length = sum(map(len, rows)) + sum(len(texts[part.id]) for part in names)
    account.spend(CHARACTER * length)
    for part in sorted(names, key=lambda part: (part.lineno, part.col_offset), reverse=True):
        if (part.lineno, part.col_offset) < (first.lineno, first.col_offset):
            continue  # the loop's own line
        if isinstance(part.ctx, ast.Store) and not (
            part in in_place and texts[part.id].isidentifier()
        ):
            raise error_at(f"{part.id} is the loop's: give the line's result another name", part)
        row = new[part.lineno - 1 - start]
        new[part.lineno - 1 - start] = (
            row[: part.col_offset] + texts[part.id].encode() + row[part.end_col_offset :]
        )
    before = new[0][: first.col_offset]
    new[0] = (before if before.isspace() else b" " * len(before)) + new[0][first.col_offset :]
    return new


def _constant(i: int) -> ast.expr:
    return ast.Constant(i) if i >= 0 else ast.UnaryOp(ast.USub(), ast.Constant(-i))
