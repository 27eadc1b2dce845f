"""The page of a judged sheet: its lines with verdicts in the margin, reasons, derived rules."""

from __future__ import annotations

import html
from collections.abc import Sequence

from tinygrad_edu.checking.table import STYLES, Row, marked
from tinygrad_edu.words import Words
from tinygrad_edu.words.bidi import isolated

_STYLE = """
:root{color-scheme:light dark}
body{font:15px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem}
body{color:light-dark(#1f2328,#e6edf3);background:light-dark(#fff,#0d1117)}
h1{font-size:1.3rem;overflow-wrap:anywhere}h2{font-size:1.1rem}
table.sheet{border-collapse:collapse;width:100%;font:13px/1.6 ui-monospace,monospace}
table.sheet td{padding:0 .6rem;vertical-align:top;white-space:nowrap}
table.sheet td.code,table.sheet td.why{white-space:pre-wrap;overflow-wrap:anywhere}
table.sheet td.n{color:light-dark(#6e7781,#8b949e);text-align:right;user-select:none}
.correct{--c:light-dark(#1a7f37,#3fb950)}.kink{--c:light-dark(#9a6700,#d29922)}
.unchecked{--c:light-dark(#6e7781,#8b949e)}.follows{--c:light-dark(#0969da,#58a6ff)}
.wrong,.missing,.unread{--c:light-dark(#cf222e,#ff7b72)}
.v,.mark{color:var(--c)}
tr.wrong td.code{background:light-dark(#ffebe9,#3c1618)}
tr.follows td.code{background:light-dark(#ddf4ff,#0c2d4d)}
td.why{font:14px/1.5 system-ui,sans-serif;border-left:3px solid light-dark(#cf222e,#ff7b72)}
ins{background:light-dark(#abf2bc,#1f5c2e);text-decoration:none}
code{font:13px ui-monospace,monospace;unicode-bidi:isolate}
table.sheet,code,figure{direction:ltr;text-align:left}
[dir=rtl] td.why{direction:rtl;text-align:right}
figure{overflow:auto;margin:1rem 0;background:#fff;color:#1f2328}
figure svg{max-width:none}
figure a.close{display:none}
figure:target{position:fixed;inset:0;margin:0;padding:1rem;z-index:1}
figure:target a.close{display:block;position:sticky;inset-inline-start:0}
div.class{overflow-x:auto}
table.class{border-collapse:collapse;font-size:14px}
table.class td,table.class th{padding:.15rem .6rem;text-align:left;white-space:nowrap}
table.class tr{border-bottom:1px solid light-dark(#d0d7de,#30363d)}
table.class td.number{text-align:right}
details{border-bottom:1px solid light-dark(#d0d7de,#30363d)}
summary{cursor:pointer;padding:.2rem 0}
a{color:inherit}
@media (max-width:40rem){table.sheet td{padding:0 .25rem}}
"""


def page(title: str, body: str, words: Words) -> str:
    """A self-contained page."""
    text = (
        f'<!doctype html><html lang="{words.language}" dir="{words.direction}"><head>'
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body>{body}</body></html>"
    )
    return isolated(text) if words.direction == "rtl" else text


def section(
    title: str,
    words: Words,
    error: str | None,
    source: str = "",
    rows: Sequence[Row] = (),
    said: Sequence[str] = (),
    rules: Sequence[str] = (),
    graph: str = "",
) -> str:
    """A report as part of a page: every text of the sheet is escaped."""
    if error is not None:
        body = f"<p>{html.escape(error)}</p>"
    else:
        remarks = "".join(f"<p>{html.escape(words.says(text))}</p>" for text in said)
        items = "".join(f"<li><code>{html.escape(text)}</code></li>" for text in rules)
        derived = f"<h2>{words['report.rules']}</h2><ul>{items}</ul>" if rules else ""
        body = (
            f'<table class="sheet">{_lines(source, rows, words)}</table>{remarks}{derived}{graph}'
        )
    return f"<section><h1>{html.escape(title)}</h1>{body}</section>"


def figure(picture: str, words: Words, name: str) -> str:
    """The graph at its own size, so that it can be read; a click shows it in the whole window."""
    return (
        f'<h2>{words["report.graph"]}</h2><p><a href="#{name}">{words["page.enlarge"]}</a></p>'
        f'<figure id="{name}" tabindex="0"><a class="close" href="#">{words["page.close"]}</a>'
        f"{picture}</figure>"
    )


def _lines(source: str, rows: Sequence[Row], words: Words) -> str:
    """The lines of a sheet as rows of a table, what is said of each below it."""
    escape = html.escape
    by_line: dict[int, list[Row]] = {}
    for row in rows:
        by_line.setdefault(row.line or 0, []).append(row)
    lines = []
    for number, text in enumerate(source.splitlines(), 1):
        here = by_line.get(number, [])
        verdict = here[0].verdict if here else ""
        mark = " ".join(f"{STYLES[r.verdict][0]} {words[f'verdict.{r.verdict}']}" for r in here)
        lines.append(
            f'<tr class="{verdict}"><td class="n">{number}</td>'
            f'<td class="code">{escape(text)}</td>'
            f'<td class="v">{mark}</td></tr>'
        )
        for row in here:
            for said in map(words.says, filter(None, (row.error, row.note))):
                lines.append(f'<tr><td></td><td class="why" colspan="2">{escape(said)}</td></tr>')
            if row.diagnosis is not None:
                d = row.diagnosis
                correction = (
                    f"<br><code>{marked(row.formula or '', d.correction)}</code>"
                    if d.correction else ""
                )  # fmt: skip
                lines.append(
                    f'<tr><td></td><td class="why" colspan="2"><b>{escape(d.mistake)}</b>: '
                    f"{escape(words.says(d.explanation))}{correction}</td></tr>"
                )
    return "".join(lines)
