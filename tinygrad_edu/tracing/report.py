"""What is said of a learner's code: a table, the lines to blame, a page, JSON."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tinygrad_edu.checking import table
from tinygrad_edu.checking.table import Diagnosis, Row
from tinygrad_edu.core.plain import printable
from tinygrad_edu.words import Words
from tinygrad_edu.words.bidi import marked_up

#: So many lines around the mistaken one are shown on the page.
_AROUND = 6


@dataclass(frozen=True)
class CodeLine:
    """A line to blame: where it is, what it computes, what is wrong with it.

    `steps`: in how many of its executions it is wrong, of how many, and at which; None where it
    runs once. `called_from`: the line that calls the function it stands in. `alternatives`: other
    corrections that are equally right, or other lines, where there is none.
    """

    file: str
    line: int
    column: int
    end_column: int
    source: str
    of: str
    steps: tuple[int, int, str] | None
    called_from: int | None
    diagnosis: Diagnosis
    alternatives: tuple[tuple[int, str | None], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The line as plain JSON values."""
        d = self.diagnosis
        return {
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "end_column": self.end_column,
            "source": self.source,
            "of": self.of,
            "iterations": None
            if self.steps is None
            else {"wrong": self.steps[0], "of": self.steps[1], "said": self.steps[2]},
            "called_from": self.called_from,
            "diagnosis": {
                "mistake": d.mistake, "explanation": d.explanation, "correction": d.correction,
            },
            "alternatives": [{"line": n, "correction": text} for n, text in self.alternatives],
        }  # fmt: skip

    def said(self, words: Words) -> list[str]:
        """What the table says of it, underneath."""
        d, called = self.diagnosis, self.called_from
        caller = words.said("code.called_from", {"line": called}) if called else ""
        told = words.says(d.explanation) + (f" {words.says(self.steps[2])}" if self.steps else "")
        said = [f"{Path(self.file).name}:{self.line}{caller}: {d.mistake}. {told}"]
        said.append(words.said("row.yours", {"formula": self.source}))
        if d.correction:
            said += _indented(heads(words)[1], d.correction)
        for line, text in self.alternatives:
            head = words.said("code.or_line" if text else "code.or", {"line": line})
            said += _indented(head, text or "")
        return [printable(text) for text in said]


def heads(words: Words) -> tuple[str, str]:
    """What stands before the learner's line, and before the line corrected."""
    yours, correct = (words[f"row.{key}"].partition("{")[0] for key in ("yours", "correct"))
    return yours, correct


def _indented(head: str, text: str) -> list[str]:
    first, *rest = text.split("\n")
    return [f"{head}{first}", *(f"{' ' * len(head)}{line}" for line in rest)]


@dataclass(frozen=True, repr=False)
class CodeReport:
    """A learner's code judged: see `check_code`.

    `gradients` has a dict per gradient, `lines` the culprits in the order they run; `followed` says
    whether the run was recorded and its record replayed exactly: where it was not, nothing is
    judged. `corrected`: the source with all corrections in it, by file.
    """

    file: str
    rows: list[Row] = field(default_factory=list)
    culprits: list[CodeLine] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    followed: bool = True
    convention: str = "calculus"
    sources: Mapping[str, str] = field(default_factory=dict)
    corrected: Mapping[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Was the run followed, and is every gradient right?"""
        right = bool(self.rows) and all(row.verdict == "correct" for row in self.rows)
        return self.followed and right

    @property
    def gradients(self) -> list[dict[str, Any]]:
        """A dict per gradient: its verdict, shapes and errors."""
        return [
            {
                "name": row.of, "verdict": row.verdict,
                "shape": None if row.shape is None else list(row.shape),
                "expected_shape": None if row.expected_shape is None else list(row.expected_shape),
                "max_error": row.max_error, "numerical_error": row.numerical_error,
            }
            for row in self.rows
        ]  # fmt: skip

    @property
    def lines(self) -> list[dict[str, Any]]:
        """A dict per line to blame, in the order they run."""
        return [line.to_json() for line in self.culprits]

    def to_json(self) -> dict[str, Any]:
        """The report as plain JSON values."""
        return {
            "file": self.file,
            "ok": self.ok,
            "followed": self.followed,
            "convention": self.convention,
            "gradients": self.gradients,
            "lines": self.lines,
            "remarks": self.remarks,
        }

    @property
    def exit_code(self) -> int:
        """0 all right, 1 some gradient wrong, 2 the run could not be followed."""
        return 2 if not self.followed else 0 if self.ok else 1

    @property
    def title(self) -> str:
        """What was judged."""
        return self.titled(table.ENGLISH)

    def titled(self, words: Words) -> str:
        """The title in a language."""
        if not self.followed:
            return words.said("code.not_followed", {"file": self.file})
        file, verdicts = Path(self.file).name, [row.verdict for row in self.rows]
        if self.ok:
            return words.said("code.all_right", {"file": file})
        wrong = "wrong" if "wrong" in verdicts else "unchecked"
        count = {"file": file, "count": verdicts.count(wrong), "n": len(verdicts)}
        return words.said(f"code.count_{wrong}", count)

    def _said(self, words: Words) -> list[str]:
        blamed = [text for line in self.culprits for text in line.said(words)]
        return [*blamed, *map(words.says, self.remarks)]

    def __rich__(self) -> Any:
        return self.shown(table.ENGLISH)

    def shown(self, words: Words) -> Any:
        """The table and what is said of it, for `rich` to print, in a language."""
        from rich.console import Group
        from rich.text import Text

        correct = heads(words)[1]
        said = self._said(words)
        texts = (Text(text, "green" if text.startswith(correct) else "") for text in said)
        return Group(table.rich_table(self.titled(words), self.rows, words), *texts)

    def __repr__(self) -> str:
        return f"<CodeReport {self.title}>"

    def __str__(self) -> str:
        return table.text_of(self)

    def _repr_html_(self) -> str:
        return table.html_table(self.title, self.rows, self._said(table.ENGLISH))

    def to_html(self, language: str = "en") -> str:
        """One self-contained page: the table, the source around each line, the change marked.

        `language`: "en" or "fa".
        """
        words = Words(language)
        title, said = self.titled(words), [words.says(text) for text in self.remarks]
        body = f'<div class="wide">{table.html_table(title, self.rows, said, words)}</div>'
        body += "".join(self._part(line, words) for line in self.culprits)
        direction, style = "", _STYLE
        if words.direction == "rtl":
            direction, style = ' dir="rtl"', _STYLE + _RIGHT_TO_LEFT
        return (
            f'<!doctype html><html lang="{language}"{direction}><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width,initial-scale=1">'
            f"<title>{html.escape(title)}</title><style>{style}</style></head>"
            f"<body>{body}</body></html>"
        )

    def _part(self, line: CodeLine, words: Words) -> str:
        text = self.sources.get(line.file, line.source).splitlines()
        rows = []
        for number in range(max(1, line.line - _AROUND), min(len(text), line.line + _AROUND) + 1):
            here = number == line.line
            rows.append(
                f'<tr class="{"wrong" if here else ""}"><td class="n">{number}</td>'
                f'<td class="code">{html.escape(text[number - 1])}</td></tr>'
            )
            if here and line.diagnosis.correction:
                indent = re.match(r"\s*", text[number - 1])[0]  # type: ignore[index]
                rows += [
                    f'<tr class="right"><td class="n">→</td><td>{indent}{new}</td></tr>'
                    for new in table.marked(line.source, line.diagnosis.correction).split("\n")
                ]
        said = "".join(
            f"<p>{marked_up(text.strip(), words.direction)}</p>" for text in line.said(words)
            if not text.startswith(heads(words)[0])
        )  # fmt: skip
        return f'<section><table class="source">{"".join(rows)}</table>{said}</section>'


_STYLE = """
:root{color-scheme:light dark}
body{font:15px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem}
body{color:light-dark(#1f2328,#e6edf3);background:light-dark(#fff,#0d1117);overflow-wrap:anywhere}
td,th{padding:0 .6rem;text-align:left}
div.wide{overflow-x:auto}
div.wide th,div.wide td{white-space:nowrap}
div.wide caption{text-align:start}
@media (prefers-color-scheme:dark){div.wide tr[style]{filter:brightness(1.6)}}
table.source{border-collapse:collapse;width:100%;margin-top:1.5rem}
table.source{font:13px/1.6 ui-monospace,monospace}
table.source td{white-space:pre-wrap;vertical-align:top}
td.n{color:light-dark(#6e7781,#8b949e);text-align:right;user-select:none;width:2rem}
tr.wrong td.code{background:light-dark(#ffebe9,#3c1618)}
tr.right td{background:light-dark(#dafbe1,#12361f)}
ins{background:light-dark(#abf2bc,#1f5c2e);text-decoration:none}
code{font:13px ui-monospace,monospace}
@media (max-width:40rem){table.source td{padding:0 .25rem}}
"""
#: The words; the code goes on from left to right.
_RIGHT_TO_LEFT = """
td,th{text-align:right}
p code{font:inherit}
table.source{direction:ltr}table.source td{text-align:left}
"""
