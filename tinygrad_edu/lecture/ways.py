"""A rule in three ways: by hand, automatically, by central difference."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu.checking.truth import Replay
from tinygrad_edu.drawing.plots import Html
from tinygrad_edu.lecture.lesson_page import without_namespace

#: Entries up to which every one has its central difference.
MOST_ENTRIES = 64


@dataclass(frozen=True)
class Line:
    """One rule and its three numbers, None where there is none; `gap` is hand minus automatic."""

    name: str
    of: str
    text: str
    rule: Html
    hand: Any
    automatic: Any
    central: Any
    right: bool

    def numbers(self, numerical: bool = True) -> tuple[Any, ...]:
        """By hand, automatic and, if asked for, by central difference."""
        return (self.hand, self.automatic, self.central)[: 3 if numerical else 2]

    @property
    def gap(self) -> float | None:
        """The largest difference between by hand and automatic."""
        if self.hand is None or self.automatic is None:
            return None
        if np.shape(self.hand) != np.shape(self.automatic):
            return float("inf")
        return float(np.max(np.abs(np.asarray(self.hand) - self.automatic), initial=0.0))


def lines_of(report: Any, derived: dict[str, Any]) -> list[Line]:
    """The claims of a judged sheet as lines; a wrong one stands as it was written."""
    judged = report.judged
    sample = judged.samples[0]
    replay = Replay(sample.graph.cost)
    found = []
    for row in report.rows:
        judgement = judged.judgements.get(row.name)
        hand = None if judgement is None else sample.run[judgement.claim.last.key]
        automatic = central = None
        if judgement is not None and judgement.truth is not None:
            key, factor = judgement.truth
            automatic = judged.truth_at(0, judgement.truth)
            node = sample.graph.values[key]
            if node.size <= MOST_ENTRIES:
                slopes = replay.difference(node, list(range(node.size)))
                central = np.reshape(factor * np.asarray(slopes), node.shape)
        rule = derived.get(row.of)
        text = row.formula or row.name
        typeset = Html(
            without_namespace(rule.mathml)
            if row.ok and rule
            else f"<code>{html.escape(text)}</code>"
        )
        found.append(Line(row.name, row.of, text, typeset, hand, automatic, central, row.ok))
    return found


def rules_of(sheet: Any, names: list[str], convention: str) -> dict[str, Any]:
    """The rules derived from a sheet's graph, by quantity; none where they cannot be."""
    try:
        derived = sheet.derive(names, convention)
    except tg.GradError:
        return {}
    return {name: derived[name] for name in names}
