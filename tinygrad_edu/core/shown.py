"""What notebooks are given to show: pictures no wider than the page, plain tables."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import Any


def fitted(svg: str) -> str:
    """An SVG picture that is never wider than the page it is on.

    >>> fitted('<svg width="900">…</svg>')
    '<svg style="max-width: 100%; height: auto" width="900">…</svg>'
    """
    return svg.replace("<svg ", '<svg style="max-width: 100%; height: auto" ', 1)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """An HTML table; a notebook has its own style for it.

    >>> table("sizes", ["m"], [[2]])
    '<table><caption>sizes</caption><tr><th>m</th></tr><tr><td>2</td></tr></table>'
    """
    head = "".join(f"<th>{html.escape(str(name))}</th>" for name in columns)
    body = "".join(
        f"<tr>{''.join(f'<td>{html.escape(str(cell))}</td>' for cell in row)}</tr>" for row in rows
    )
    return f"<table><caption>{html.escape(title)}</caption><tr>{head}</tr>{body}</table>"
