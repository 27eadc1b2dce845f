"""Numbers in a picture: all of them where they are few, else a small heat map, else a summary."""

from __future__ import annotations

from typing import Any

import numpy as np

FEW = 12  # numbers shown one by one
ENTRY = 3  # significant digits of one number among several
SIDE = 9  # of such a cell, in points
MANY = 160  # cells of a heat map; beyond, only mean, spread and range are told


def number(x: Any, digits: int = 4) -> str:
    """Four significant digits, or as many as asked for.

    >>> number(-0.70710678), number(1e-300), number(float("nan"))
    ('-0.7071', '1e-300', 'nan')
    """
    return f"{x + 0.0:.{digits}g}"  # no −0


def colour(x: float, largest: float) -> str:
    """Blue below zero, white at it, red above; the end of the scale is `largest`."""
    if not np.isfinite(x):
        return "#555555"
    t = max(-1.0, min(1.0, x / largest)) if largest else 0.0
    end = (178, 24, 43) if t > 0 else (33, 102, 172)
    return "#" + "".join(f"{round(255 + (c - 255) * abs(t)):02x}" for c in end)


def summary(a: np.ndarray[Any, Any]) -> list[str]:
    """Mean and standard deviation, then the range; one line where all are equal.

    >>> summary(np.array([1.0, 3.0]))
    ['2 ± 1', '1 … 3']
    >>> summary(np.zeros(3))
    ['all 0']
    """
    if not a.size:
        return ["no numbers"]
    finite = a[np.isfinite(a)].astype(float)
    odd = a.size - finite.size
    lines = [f"{odd} of {a.size} not finite"] if odd else []
    if finite.size and finite.min() == finite.max():
        lines.append(f"all {number(finite.flat[0])}")
    elif finite.size:
        with np.errstate(over="ignore", invalid="ignore"):
            lines.append(f"{number(finite.mean(), ENTRY)} ± {number(finite.std(), ENTRY)}")
        lines.append(f"{number(finite.min(), ENTRY)} … {number(finite.max(), ENTRY)}")
    return lines


def html_like(x: Any) -> str:
    """Numbers as the inside of a cell of an HTML-like label."""
    a = np.asarray(x)
    if not a.ndim:
        return number(a[()])
    grid = a.reshape(1, -1) if a.ndim == 1 else a
    if grid.ndim == 2 and 0 < a.size <= FEW and grid.shape[1] <= 6:
        return _table(
            [[f'<TD ALIGN="RIGHT">{number(v, ENTRY)}</TD>' for v in row] for row in grid], spacing=4
        )
    text = '<BR ALIGN="LEFT"/>'.join(summary(a)) + '<BR ALIGN="LEFT"/>'
    if grid.ndim == 2 and 0 < a.size <= MANY and max(grid.shape) <= 24:
        finite = np.abs(grid[np.isfinite(grid)])
        largest = float(finite.max()) if finite.size else 0.0
        side = f'FIXEDSIZE="TRUE" WIDTH="{SIDE}" HEIGHT="{SIDE}"'
        heat = _table(
            [[f'<TD {side} BGCOLOR="{colour(v, largest)}"></TD>' for v in row] for row in grid],
            spacing=0,
            frame='BORDER="1" FIXEDSIZE="TRUE" '
            f'WIDTH="{grid.shape[1] * SIDE + 2}" HEIGHT="{grid.shape[0] * SIDE + 2}"',
        )
        return _table([[f"<TD>{heat}</TD>"], [f"<TD>{text}</TD>"]], spacing=2)
    return text


def _table(rows: list[list[str]], spacing: int, frame: str = 'BORDER="0"') -> str:
    body = "".join(f"<TR>{''.join(row)}</TR>" for row in rows)
    inside = f'CELLBORDER="0" CELLPADDING="0" CELLSPACING="{spacing}"'
    return f'<TABLE {frame} {inside} COLOR="#999999">{body}</TABLE>'
