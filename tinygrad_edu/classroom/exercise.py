"""Exercises made by chance, each with its key: a net to derive, or a planted mistake to find.

The key's lines are those that `derive` gives, and are judged before they are given out. A mistake
is an example of the registry's, or one of the edits by which the diagnosis corrects lines, made to
a right one; it is planted only where the judged sheet has that one line wrong, the mistake has a
name and the diagnosis finds the way back.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

import numpy as np

from tinygrad_edu.checking.table import Row
from tinygrad_edu.classroom.blanks import blank
from tinygrad_edu.core.primitive import GradError
from tinygrad_edu.diagnosis.activations import context_of
from tinygrad_edu.diagnosis.edit_cost import tokens
from tinygrad_edu.diagnosis.edits import Edits
from tinygrad_edu.diagnosis.registry import MISTAKES
from tinygrad_edu.diagnosis.words import Words, visible_keys
from tinygrad_edu.reports import SheetReport, check_sheet
from tinygrad_edu.sheets.account import DIAGNOSING, Account
from tinygrad_edu.sheets.lines import Statement
from tinygrad_edu.sheets.sheet import Sheet
from tinygrad_edu.sheets.syntax import Expr, show

#: The last layer and the cost of each topic.
TOPICS = {
    "regression": ("{z}", "np.sum(({a} - Y)**2) / (2 * m)", ""),
    "classification": (
        "sigmoid({z})", "-np.sum(Y * np.log({a}) + (1 - Y) * np.log(1 - {a})) / m", "binary",
    ),
    "softmax": ("softmax({z}, axis=0)", "-np.sum(Y * np.log({a})) / m", "onehot(axis=0)"),
}  # fmt: skip
LEVELS = (1, 2, 3)
#: Mistakes that say too little of what a learner thought.
_VAGUE = ("other", "constant_factor", "missing_upstream_factor")
#: Which names are taken for each other.
_SORT = {"X": "A", "Z": "A", "Y": "A"}
_HIDDEN = ("np.tanh({z})", "sigmoid({z})", "np.maximum(0, {z})")


@dataclass(frozen=True)
class Exercise:
    """What is given out, and the key to it; both are sheets."""

    text: str
    key: str


def exercise(topic: str | None, level: int, seed: int, find: bool = False) -> Exercise:
    """The exercise of a seed: a net of `level` layers to derive, or a mistake to `find` in one.

    `topic`: one of `TOPICS`, or any. Raises GradError for another topic or level.
    """
    if topic not in (None, *TOPICS):
        raise GradError(f"there is no topic {topic!r}: there are {', '.join(TOPICS)}")
    if level not in LEVELS:
        raise GradError(f"the levels are {', '.join(map(str, LEVELS))}, not {level!r}")
    rng = random.Random(f"{topic} {level} {seed} {find}")  # noqa: S311 - an exercise, no secret
    told = f"--level {level} --seed {seed}" + (f" --topic {topic}" if topic else "")
    report = _right(rng, topic, level)
    if not find:
        text = blank(Sheet(report.source))
        return Exercise(f"# {told}\n{text}", f"# The key: {told}\n{report.source}")
    return _planted(rng, report, level, f"{told} --find")


def _right(rng: random.Random, topic: str | None, level: int) -> SheetReport:
    """A net and its derivation, judged to be right."""
    while True:
        forward = _net(rng, topic or rng.choice(list(TOPICS)), level)
        rules = Sheet(forward).derive()
        claims = "".join(f"{rule.numpy}\n" for rule in rules)
        report = check_sheet(Sheet(f"{forward}\n{claims}"))
        if report.ok and not any(row.note for row in report.rows):
            return report


def _net(rng: random.Random, topic: str, layers: int) -> str:
    """What is given and the forward lines; all sizes differ, so that a transpose shows."""
    output, cost, kind = TOPICS[topic]
    m, *sizes = rng.sample(range(2, 8), layers + 2)
    lines = [f"m = {m}", f"X: ({sizes[0]}, m)", f"Y: ({sizes[-1]}, m)" + (kind and f" = {kind}")]
    for i in range(1, layers + 1):
        lines += [f"W{i}: ({sizes[i]}, {sizes[i - 1]})", f"b{i}: ({sizes[i]}, 1)"]
    lines.append("")
    for i in range(1, layers + 1):
        lines.append(f"Z{i} = W{i} @ {f'A{i - 1}' if i > 1 else 'X'} + b{i}")
        if i < layers:
            lines.append(f"A{i} = {rng.choice(_HIDDEN).format(z=f'Z{i}')}")
        elif output != "{z}":
            lines.append(f"A{i} = {output.format(z=f'Z{i}')}")
    last = f"{'Z' if output == '{z}' else 'A'}{layers}"
    return "\n".join([*lines, f"J = {cost.format(a=last)}"]) + "\n"


def _planted(rng: random.Random, report: SheetReport, level: int, told: str) -> Exercise:
    """A right derivation with one line made wrong."""
    assert report.judged is not None
    statements = [claim.last for claim in report.judged.sheet.claims.values()]
    wrong = [(s, text) for s in statements for text in _mistaken(report, s)]
    rng.shuffle(wrong)
    for statement, text in wrong:
        lines = report.source.splitlines()
        lines[statement.line - 1] = text
        mistaken = "\n".join(lines) + "\n"
        row = _only_wrong(mistaken, report.convention or "auto")
        if row is None or row.name != statement.name or row.diagnosis is None:
            continue
        if level > 1 and row.shape != row.expected_shape:
            continue  # the shape alone would tell
        where = f"# The mistake stands in line {statement.line + 1}: {row.diagnosis.mistake}."
        return Exercise(
            f"# One line is wrong. Which, and why? ({told})\n{mistaken}",
            f"{where}\n{report.source}",
        )
    raise GradError("no mistake was found for this exercise; take another seed")


def _only_wrong(text: str, convention: str) -> Row | None:
    """The one wrong line of a sheet, if it is one, and its mistake has a name and a way back."""
    wrong = [
        row for row in check_sheet(Sheet(text), None, convention).rows if row.verdict == "wrong"
    ]
    if len(wrong) != 1 or wrong[0].note or wrong[0].error:
        return None
    d = wrong[0].diagnosis
    return wrong[0] if d and d.correction and d.mistake not in _VAGUE else None


def _mistaken(report: SheetReport, statement: Statement) -> list[str]:
    """The line made wrong: as the registry's examples have it for some layer, and by edits that
    leave out or exchange something."""
    found = _examples_of(statement)
    judged = report.judged
    assert judged is not None
    with np.errstate(all="ignore"):
        context = context_of(judged, Account(DIAGNOSING))
        context.use_names_above(statement)
        words = Words(context, [], visible_keys(context, statement), statement.expr, [])
        edits = Edits(context, words)
        places = edits.places(statement.expr)
        made = [*edits.small(statement.expr, places), *edits.replaced(statement.expr, places)]
    long = len(tokens(statement.text))
    written = {f"{statement.name} = {show(edit.expr)}": edit for edit in made}
    found += [
        text
        for text, edit in written.items()
        if len(tokens(text)) <= long and _likely(edit.removed, edit.added)
    ]
    return found


def _examples_of(statement: Statement) -> list[str]:
    """The registry's examples for a claim like this one, in the names of its layer."""
    found = []
    kind, layer = statement.name[:-1], int(statement.name[-1])
    for mistake in MISTAKES:
        of = re.match(r"(d[AZWb])(\d) = [^;]*$", mistake.example)
        if of and of[1] == kind:
            parts = re.split(r"(?<=[AZWb])(\d)", mistake.example)
            parts[1::2] = [str(int(n) + layer - int(of[2])) for n in parts[1::2]]
            found.append("".join(parts))
    return found


def _likely(removed: tuple[Expr, ...], added: tuple[Expr, ...]) -> bool:
    """Is a word exchanged for one of the same sort, Z1 for A1, if for any?"""
    old, new = ({name for e in es for name, _ in e.names} for es in (removed, added))
    sorts = [{_SORT.get(re.sub(r"\d", "", n), n) for n in names} for names in (old, new)]
    return not new - old or sorts[0] == sorts[1]
