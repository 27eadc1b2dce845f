"""Numbers for which every side of every comparison, max, clip and absolute value is taken.

A mistake on the upper side of ``np.minimum(6, A)`` shows only where some A is above 6, which random
numbers may never be. So numbers are sought: larger and larger ones, then by walking one entry of
what is compared over to the other side.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu.checking.samples import Sample
from tinygrad_edu.checking.truth import TWO_SIDED, compared
from tinygrad_edu.core.ops import arithmetic
from tinygrad_edu.core.ops.shaping import sum_to
from tinygrad_edu.core.sweep import reachable, sweep
from tinygrad_edu.core.value import Value
from tinygrad_edu.sheets.account import Account
from tinygrad_edu.sheets.sheet import Graph, Sheet

#: How many times larger numbers are tried, and of how many draws each.
SCALES = (3.0, 10.0, 30.0, 100.0)
STARTS = 3
#: Newton steps of one walk.
STEPS = 6
#: Where so many sides are missing already, no more are walked to.
MOST_WALKS = 8
#: A limit as near as this to 0 or 1 keeps a logarithm or a quotient finite; nobody means to be
#: beyond it.
SAFETY = 1e-4


@dataclass(frozen=True, order=True)
class Side:
    """One side of a comparison: which node of a graph, oldest first, which limit, which sign."""

    node: int
    limit: int
    sign: int


def seek(
    sheet: Sheet, samples: list[Sample], account: Account
) -> tuple[list[Sample], list[tuple[Value, str]]]:
    """Samples at which sides are taken that the given ones do not take, sought as long as `account`
    has ample.

    Also the nodes of the first sample that have a side for which no numbers were found, with what
    is to be said of it.
    """
    wanted = _sides(samples[0].graph)
    if not wanted:
        return [], []
    missing = set(wanted).difference(*(_taken(sample.graph) for sample in samples))
    found: list[Sample] = []

    def use(graph: Graph) -> None:
        new = _taken(graph) & missing
        if new and (sample := Sample(sheet, graph, account)).good and _safe(sheet, sample):
            found.append(sample)
            missing.difference_update(new)

    with np.errstate(all="ignore"):
        for numbers in _larger(sheet):
            if not missing:
                break
            if (graph := _graph(sheet, numbers, account)) is not None:
                use(graph)
        for side in sorted(missing)[:MOST_WALKS]:
            for start in range(STARTS):
                walked = _walked(sheet, side, start, account) if side in missing else None
                if walked is not None:
                    use(walked)
    return found, [(wanted[side], _said(wanted[side], side)) for side in sorted(missing)]


def _order(graph: Graph) -> list[Value]:
    return reachable(graph.cost, every=True)[::-1]


def _compared(node: Value) -> list[tuple[Any, Any]]:
    """What a node compares that has two sides."""
    return [] if node.op in (arithmetic.equal, arithmetic.not_equal) else compared(node)


def _for_safety(limit: Any) -> bool:
    """Is a limit one such as 1e-8 or 1 - 1e-8?"""
    if np.size(limit) != 1:
        return False
    size = abs(float(np.ravel(limit)[0]))
    return 0 < size <= SAFETY or 0 < abs(1 - size) <= 1.001 * SAFETY


def _sides(graph: Graph) -> dict[Side, Value]:
    """Every side that there is to take."""
    found: dict[Side, Value] = {}
    for i, node in enumerate(_order(graph)):
        if any(parent.requires_grad for parent in node.parents):
            for k, (x, y) in enumerate(_compared(node)):
                if not _for_safety(y) and not (node.op in TWO_SIDED and _for_safety(x)):
                    found |= {Side(i, k, -1): node, Side(i, k, 1): node}
    return found


def _taken(graph: Graph) -> set[Side]:
    """The sides that some entry is on."""
    found: set[Side] = set()
    for i, node in enumerate(_order(graph)):
        for k, (x, y) in enumerate(_compared(node)):
            apart = np.subtract(x, y, dtype=float)
            found |= {Side(i, k, sign) for sign in (-1, 1) if (sign * apart > 0).any()}
    return found


def _safe(sheet: Sheet, sample: Sample) -> bool:
    """Has a number added for safety no effect here?"""
    for claim in sheet.claims.values() if sheet.adds_tiny else ():
        for key in sheet.quantities(claim.of, sample.graph):
            if isinstance(sample.graph.node(key), Value):
                true, bare = sample.gradient(key), sample.without_tiny(sheet, key)
                if bare is None or not np.allclose(true, bare, rtol=1e-3, atol=1e-9):
                    return False
    return True


def _graph(sheet: Sheet, numbers: dict[str, Any], account: Account) -> Graph | None:
    kept = account.kept
    try:
        return sheet.graph(numbers, account) if account.ample else None
    except (ValueError, ArithmeticError):  # SheetError is a ValueError
        return None
    finally:
        account.kept = kept  # few are of use, and only these stay


def _larger(sheet: Sheet) -> Iterator[dict[str, Any]]:
    """Larger and larger numbers for a sheet."""
    for scale in SCALES:
        for start in range(STARTS):
            numbers = sheet.draw(500 + start)
            for name, given in sheet.givens.items():
                if given.kind in ("normal", "positive"):
                    numbers[name] = scale * numbers[name]
            yield numbers


def _walked(sheet: Sheet, side: Side, start: int, account: Account) -> Graph | None:
    """The sheet on numbers that a side is taken for, by Newton steps of the entry nearest to it."""
    numbers = sheet.draw(600 + start)
    for _ in range(STEPS):
        graph = _graph(sheet, numbers, account)
        if graph is None or side in _taken(graph):
            return graph
        apart, slope = _slope(sheet, _order(graph)[side.node], side)
        size = sum(float(np.sum(np.square(g))) for g in slope.values())
        if not 1e-20 < size < np.inf:
            return None
        step = (0.3 * max(1.0, abs(apart)) - apart) / size
        for name, g in slope.items():
            numbers[name] = numbers[name] + step * g
    return None


def _slope(sheet: Sheet, node: Value, side: Side) -> tuple[float, dict[str, Any]]:
    """How far the nearest entry is on a side (below 0: not yet), and how that changes with what is
    given."""
    x, y = _compared(node)[side.limit]
    apart = np.atleast_1d(side.sign * np.subtract(x, y, dtype=float))
    nearest = int(np.argmax(apart))
    slope: dict[str, Any] = {}
    for parent, towards in zip(node.parents[:2], (side.sign, -side.sign), strict=False):
        if not parent.requires_grad:
            continue
        at = np.zeros(apart.shape)
        at.flat[nearest] = towards
        seed = sum_to.forward(at, parent.shape) if parent.shape else towards
        for leaf, g in sweep(parent, seed).items():
            given = sheet.givens.get(leaf.name or "") if leaf.op is None else None
            if given is not None and given.kind == "normal" and g is not None:
                slope[given.name] = slope.get(given.name, 0.0) + g
    return float(apart.flat[nearest]), slope


def _said(node: Value, side: Side) -> str:
    assert node.op is not None
    _, y = _compared(node)[side.limit]
    where = "above" if side.sign > 0 else "below"
    limit = f"{float(np.ravel(y)[0]):.6g}" if np.size(y) == 1 else "the other"
    what = node.parents[0].name or "what is compared"
    return (
        f"no numbers were found with {what} {where} {limit}: that side of {node.op.name} is not "
        "checked"
    )
