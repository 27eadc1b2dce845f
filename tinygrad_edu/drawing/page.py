"""The step-through page: one HTML file that walks forward, then backward, through a graph.

Self-contained: the graph as SVG, the numbers as JSON, its own style and script; a content security
policy lets nothing else run and nothing be fetched, whatever a name contains.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from importlib import resources
from typing import Any

import numpy as np

from tinygrad_edu.core.ops.arithmetic import add
from tinygrad_edu.core.primitive import GradError
from tinygrad_edu.drawing import boxes, local, numbers, renderer
from tinygrad_edu.drawing.text import visible

#: Every value is a step forward and one back; more than this nobody walks through.
STEPS = 5000
#: Numbers of one array that are written into the page; of a larger one only a summary.
WRITTEN = 1024


class StepThrough:
    """The page for a drawing made with ``ids=True`` and its DOT text, with the numbers of now.

    Raises GradError for a graph of more than 5,000 values.
    """

    def __init__(self, drawing: boxes.Drawing, source: str, title: str | None) -> None:
        if len(drawing.nodes) > STEPS:
            raise GradError(
                f"{len(drawing.nodes)} values are too many to step through (at most {STEPS}): draw "
                "a picture (.svg), which is folded, or a smaller graph"
            )
        title = title or f"{drawing.names.get(drawing.root, 'a graph')}, step by step"
        script = _read("page.js")
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        data = {"nodes": _nodes(drawing), "steps": [*_forward(drawing), *_backward(drawing)]}
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
        self._source = source
        self._parts = {
            "TITLE": html.escape(visible(title, 200)),
            "POLICY": "default-src 'none'; style-src 'unsafe-inline'; "
            f"script-src 'sha256-{digest}'",
            "STYLE": _read("page.css"),
            "LEGEND": _legend(drawing),
            "NOTE": html.escape(_note(drawing)),
            "DATA": text.replace("<", "\\u003c"),
            "SCRIPT": script,
        }

    def html(self) -> str:
        """The text of the page. Raises GradError where the graph cannot be drawn."""
        parts = {**self._parts, "SVG": _inline(renderer.to_bytes(self._source, "svg").decode())}
        return re.sub(r"\{\{([A-Z]+)\}\}", lambda found: parts[found[1]], _read("page.html"))


def _read(name: str) -> str:
    return (resources.files("tinygrad_edu.drawing") / name).read_text("utf-8")


def _inline(svg: str) -> str:
    """An SVG as part of a page: no prolog, no size of its own, no ids shown on hovering.

    What `boxes` marked as part of a gradient has the class ``gradient`` and is no link.
    """
    svg = re.sub(r"<title>.*?</title>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    svg = re.sub(r'<g id="a_d(\w+)"><a [^>]*>', r'<g class="gradient \1">', svg)
    svg = svg.replace("</a>", "")
    return re.sub(r'^<svg width="[^"]*" height="[^"]*"', '<svg id="graph"', svg)


def _legend(drawing: boxes.Drawing) -> str:
    present = {drawing.role(node) for node in drawing.alone}
    return "".join(f'<li class="{role}">{role}</li>' for role in boxes.ROLES if role in present)


def _note(drawing: boxes.Drawing) -> str:
    told = [f"{drawing.folded}." if drawing.folded else ""]
    if not drawing.grad:
        told.append(
            "Gradients are not computed yet: call backward() on the result, then draw again."
        )
    return " ".join(filter(None, told)).replace(" (max_nodes=None draws all of them)", "")


def _numbers(x: Any) -> Any:
    """Numbers for the page: one, or shape with all entries, or shape with a summary. None stays."""
    if x is None:
        return None
    a = np.asarray(x)
    if not a.ndim:
        return _one(float(a))
    told: dict[str, Any] = {"shape": list(a.shape), "summary": numbers.summary(a)}
    if a.size <= WRITTEN:
        told["data"] = [_one(float(v)) for v in a.ravel()]
    return told


def _one(x: float) -> float | str:
    return x if np.isfinite(x) else str(x)  # JSON has no nan and no infinity


def _math(written: local.Written) -> str:
    return f"<math>{written.math}</math>"


def _nodes(drawing: boxes.Drawing) -> list[dict[str, Any]]:
    told = []
    for i, node in enumerate(drawing.nodes):
        name = drawing.called.get(node, local.Written.named("constant"))
        told.append(
            {
                "name": visible(drawing.heading(node).partition(" = ")[0] or "a constant"),
                "math": _math(name),
                "gradient": _math(drawing.gradient.get(node, name)),
                "box": drawing.leaves[node],
                "shape": str(node.shape),
                "dtype": str(node.dtype),
                "role": drawing.role(node),
                "op": boxes.op_label(node) if node.op is not None else None,
                "formula": _math(local.formula(node, drawing.called)) if node.op else None,
                "inputs": [drawing.number[parent] for parent in node.parents],
                "edges": [drawing.edge(node, k) for k in range(len(node.parents))],
                "value": _numbers(drawing.recorded[node]),
                "grad": _numbers(drawing.grad.get(node)),
                "needs": node in drawing.needed,
                "derived": drawing.derived.get(node),
                "verdict": drawing.verdicts.get(drawing.names.get(node, "")),
                "number": i,
            }
        )
    return told


def _forward(drawing: boxes.Drawing) -> list[dict[str, Any]]:
    leaves = [drawing.number[node] for node in drawing.nodes if node.op is None]
    steps: list[dict[str, Any]] = [{"kind": "given", "nodes": leaves}] if leaves else []
    for node in drawing.nodes:
        if node.op is not None:
            steps.append({"kind": "forward", "node": drawing.number[node]})
    return steps


def _backward(drawing: boxes.Drawing) -> list[dict[str, Any]]:
    """The seed, then every operation in sweep order: what it sends back, and the sums so far."""
    if not drawing.grad:
        return []
    steps: list[dict[str, Any]] = [{"kind": "seed", "node": drawing.number[drawing.root]}]
    uses: dict[Any, int] = {}
    for node in drawing.nodes:
        if node.op is not None and node in drawing.needed:
            for parent in node.parents:
                uses[parent] = uses.get(parent, 0) + 1
    totals: dict[Any, Any] = {}
    counted: dict[Any, int] = {}
    for node in reversed(drawing.nodes):
        if node.op is None or drawing.grad.get(node) is None:
            continue
        sent = []
        for c in drawing.sent(node):
            counted[c.parent] = counted.get(c.parent, 0) + 1
            before = totals.get(c.parent)
            totals[c.parent] = c.amount if before is None else add(before, c.amount)
            sent.append(
                {
                    "to": drawing.number[c.parent],
                    "edge": drawing.edge(node, c.input),
                    "rule": _math(c.rule),
                    "local": _numbers(local.local_derivative(node, c.input)),
                    "amount": _numbers(c.amount),
                    "total": _numbers(totals[c.parent]) if uses[c.parent] > 1 else None,
                    "count": counted[c.parent],
                    "of": uses[c.parent],
                }
            )
        steps.append({"kind": "backward", "node": drawing.number[node], "sent": sent})
    return steps
