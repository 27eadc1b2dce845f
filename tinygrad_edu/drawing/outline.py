"""Every value of a graph as a line of DOT, edges below it: for graphs of many thousands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.drawing.boxes import ROLES, op_label, role_of
from tinygrad_edu.drawing.text import quoted


def outline(
    nodes: Sequence[Any], names: Mapping[Any, str], show: str, results: Sequence[Any]
) -> list[str]:
    """The picture in DOT, forward edges only; `nodes`: oldest first."""
    lines = []
    gradients = show != "forward"
    ids = {node: str(i) for i, node in enumerate(nodes)}
    looks = {
        role: f'\\l" shape=box fillcolor="{look.fill}" {look.plain}]\n'
        for role, look in ROLES.items()
    }
    signs: dict[Any, str] = {}
    ends = set(results)  # a Value is found in a list by its numbers
    # a sweep for the picture would take as long as the picture
    swept = any(z._grad is not None for z in results)
    for node, me in ids.items():
        op, g, x = node.op, node._grad if swept else None, node._data
        text = f"{x:.4g}" if type(x) is float else f"{node.shape}"
        if gradients and node._needs:
            if g is None:
                text += r"\lgrad not computed"
            elif type(g) is float:
                text += rf"\lgrad {g:.4g}"
            else:
                text += rf"\l‖grad‖ {np.linalg.norm(g):.4g}"
        if op is not None:
            sign = None if node.options else signs.get(op)
            if sign is None:
                sign = quoted(op_label(node))[1:-1]
                if not node.options:
                    signs[op] = sign
            text = rf"{sign}\l{text}"
        if names and node in names:
            text = quoted(names[node])[1:-1] + r"\l" + text
        look = looks[
            "intermediate" if op and node not in ends else role_of(node, ends, names.get(node))
        ]
        edges = "".join([f"\tn{ids[parent]} -> n{me}\n" for parent in node.parents]) if op else ""
        lines.append(f'\tn{me} [label="{text}{look}{edges}')
    return lines
