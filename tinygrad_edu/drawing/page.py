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
from collections import Counter
from importlib import resources
from typing import Any

import numpy as np

from tinygrad_edu.core.ops.arithmetic import add
from tinygrad_edu.core.primitive import GradError
from tinygrad_edu.drawing import local, numbers, renderer
from tinygrad_edu.drawing.boxes import ROLES, Drawing
from tinygrad_edu.drawing.text import visible
from tinygrad_edu.rules.notation import MathML
from tinygrad_edu.rules.notation.mathml import row

#: Every value is a step forward and one back; more than this nobody walks through.
STEPS = 5000
#: Numbers of one array that are written into the page; of a larger one only a summary.
WRITTEN = 1024


class StepThrough:
    """The page for a drawing made with ``ids=True`` and its DOT text, with the numbers of now.

    Raises GradError for a graph of more than 5,000 values.
    """

    def __init__(self, drawing: Drawing, source: str, title: str | None) -> None:
        words = drawing.words
        if len(drawing.nodes) > STEPS:
            raise GradError(
                f"{len(drawing.nodes)} values are too many to step through (at most {STEPS}): draw "
                "a picture (.svg), which is folded, or a smaller graph"
            )
        named = [drawing.names[z] for z in drawing.results if z in drawing.names]
        name = ", ".join(named) or words["step.unnamed"]
        title = title or words.said("step.title", {"name": name})
        script = _read("page.js")
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        data = {
            "nodes": _nodes(drawing),
            "steps": [*_forward(drawing), *_backward(drawing)],
            "words": words.under("step.said"),
        }
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
        self._source = source
        self._parts = {
            "TITLE": html.escape(visible(title, 200)),
            "LANG": words.language,
            "DIR": words.direction,
            "POLICY": "default-src 'none'; style-src 'unsafe-inline'; "
            f"script-src 'sha256-{digest}'",
            "STYLE": _read("page.css"),
            "LEGEND": _legend(drawing),
            "NOTE": html.escape(_note(drawing)),
            "DATA": text.replace("<", "\\u003c"),
            "SCRIPT": script,
        }
        self._parts |= {key: html.escape(said) for key, said in words.under("step.page").items()}

    def html(self) -> str:
        """The text of the page. Raises GradError where the graph cannot be drawn."""
        parts = {**self._parts, "SVG": _inline(renderer.to_bytes(self._source, "svg").decode())}
        return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _read("page.html"))


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


def _legend(drawing: Drawing) -> str:
    present = {drawing.role(head) for head in drawing.alone}
    words = drawing.words
    return "".join(
        f'<li class="{role}">{words[f"draw.{role}"]}</li>' for role in ROLES if role in present
    )


def _note(drawing: Drawing) -> str:
    """The scale of the gradients, or that there are none yet; and what is folded."""
    told = drawing.said()[1:] if drawing.grad else [drawing.words["step.missing"]]
    folded = drawing.folded if drawing.folded and not drawing.grad else ""
    return " ".join([*told, folded]).replace(" (max_nodes=None draws all of them)", "").strip()


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


def _math(inside: str) -> str:
    return f"<math>{inside}</math>"


def _nodes(drawing: Drawing) -> list[dict[str, Any]]:
    told, language = [], drawing.words.language
    for head in drawing.lines:
        name = drawing.called.get(head, local.Written.named(drawing.words["step.constant"]))
        derived = drawing.derived.get(head)
        formula = local.formula(head, drawing.called).math if head.op else None
        told.append(
            {
                "name": visible(drawing.heading(head) or drawing.words["step.constant"]),
                "math": _math(name.math),
                "gradient": _math(drawing.gradient.get(head, name).math),
                "box": drawing.box[head],
                "shape": str(head.shape),
                "dtype": str(head.dtype),
                "role": drawing.words[f"draw.{drawing.role(head)}"],
                "formula": _math(formula) if formula else None,
                "inputs": [drawing.place[parent] for parent in drawing.inputs[head]],
                "edges": [drawing.edge(head, i) for i in range(len(drawing.inputs[head]))],
                "value": _numbers(drawing.recorded[head]),
                "grad": _numbers(drawing.shown(head, drawing.grad.get(head))),
                "needs": head in drawing.needed,
                "derived": _derived(derived.mathml) if derived else None,
                "why": derived.explanation.to_html(language) if derived and drawing.grad else None,
                "verdict": drawing.verdicts.get(drawing.names.get(head, "")),
            }
        )
    return told


def _derived(mathml: str) -> str:
    return re.sub(r' xmlns="[^"]*"', "", mathml)


def _forward(drawing: Drawing) -> list[dict[str, Any]]:
    leaves = [drawing.place[head] for head in drawing.lines if head.op is None]
    steps: list[dict[str, Any]] = [{"kind": "given", "nodes": leaves}] if leaves else []
    for head in drawing.lines:
        if head.op is not None:
            steps.append({"kind": "forward", "node": drawing.place[head]})
    return steps


def _backward(drawing: Drawing) -> list[dict[str, Any]]:
    """The seed, then every line in sweep order: what it sends back, and the sums so far."""
    if not drawing.grad:
        return []
    steps: list[dict[str, Any]] = [
        {"kind": "seed", "node": drawing.place[z]} for z in drawing.seeds if not drawing.uses[z]
    ]
    back = [head for head in reversed(drawing.lines) if drawing.grad.get(head) is not None]
    uses = Counter(sent.parent for head in back for sent in drawing.sent(head))
    totals: dict[Any, Any] = {z: seed for z, seed in drawing.seeds.items() if drawing.uses[z]}
    counted: Counter[Any] = Counter()
    for head in back:
        if head.op is None:
            continue
        sent = []
        for c in drawing.sent(head):
            counted[c.parent] += 1
            before = totals.get(c.parent)
            totals[c.parent] = c.amount if before is None else add(before, c.amount)
            sent.append(
                {
                    "to": drawing.place[c.parent],
                    "edge": drawing.edge(head, c.input),
                    "rule": _math(drawing.rule(head, c)[1]),
                    "local": _local(drawing, head, c.input),
                    "amount": _numbers(drawing.shown(c.parent, c.amount)),
                    "total": _numbers(drawing.shown(c.parent, totals[c.parent]))
                    if uses[c.parent] > 1 or c.parent in drawing.seeds
                    else None,
                    "count": counted[c.parent],
                    "of": uses[c.parent],
                    "whole": _whole(drawing, c) if counted[c.parent] == uses[c.parent] else None,
                }
            )
        steps.append({"kind": "backward", "node": drawing.place[head], "sent": sent})
    return steps


def _whole(drawing: Drawing, sent: local.Contribution) -> str | None:
    """The line of a gradient as a teacher writes it, where that says more than the last step."""
    derived, step = drawing.derived.get(sent.parent), drawing.steps.get(sent.parent)
    if derived is None or (step is not None and derived.text == step.text):
        return None
    return _derived(derived.mathml)


def _local(drawing: Drawing, head: Any, i: int) -> dict[str, Any] | None:
    """The local derivative: its formula, its numbers, on which side of a product it stands."""
    found = local.local_derivative(drawing.lines[head], i, drawing.called)
    if found is None:
        return None
    side, written, x = found
    said = _factor(drawing, head, drawing.inputs[head][i]) or written.math
    return {"side": side, "math": _math(said), "value": _numbers(x)}


def _factor(drawing: Drawing, head: Any, parent: Any) -> str:
    """A local derivative as the rules write it, where it is a factor of one: ``A2 ∗ (1 − A2)``."""
    rule, above = drawing.steps.get(parent), drawing.names.get(head)
    if rule is None or above is None:
        return ""
    why = rule.explanation
    for factor in why.arrivals[-1].factors if why.arrivals else ():
        if factor.above == above and factor.derivative is not None:
            return row(MathML(names=why.names)(factor.derivative))
    return ""
