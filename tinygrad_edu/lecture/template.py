"""Templates of pages and pictures: words by key, numbers by name, formulas between dollars.

- ``{{s4.lead}}``: a text of the catalogue, its placeholders filled from the values;
  ``\\w{s4.path}`` the same inside a formula.
- ``[[dz1_3|4]]``: a number with four digits (``sci``: as a power of ten); ``[[rows]]``: a text or
  a piece of a page; ``[[>s4net.svg]]``: another template.
- ``$x$``: a formula; lines between ``$$`` lines: displayed formulas.
- ``~w_11^2~``: letters with indices inside a picture, where MathML cannot stand.
- ``@name TeX`` at the beginning of a line: a formula for the texts that wait for ``{name}``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tinygrad_edu.drawing.plots import Html, letters, number, scientific
from tinygrad_edu.lecture.tex import math
from tinygrad_edu.words import Words

FOLDER = Path(__file__).parent / "page"


def fill(template: str, words: Words, values: Mapping[str, Any]) -> Html:
    """A template with its words, numbers and formulas."""
    while includes := re.findall(r"\[\[>([\w.]+)\]\]", template):
        for name in includes:
            template = template.replace(f"[[>{name}]]", (FOLDER / name).read_text("utf-8"))
    known = dict(values)

    def formula(line: re.Match[str]) -> str:
        known[line[1]] = math(_numbers(line[2], known))
        return ""

    template = re.sub(r"^@(\w+) (.*)\n", formula, template, flags=re.M)
    template = re.sub(r"\\w\{([\w.]+)\}", r"\\text{{{\1}}}", template)
    template = re.sub(r"\{\{([\w.]+)\}\}", lambda key: words.said(key[1], known), template)
    template = _numbers(template, known)
    template = re.sub(r"^\$\$\n(.*?)^\$\$\n", _displayed, template, flags=re.M | re.S)
    template = re.sub(r"\$([^$\n]+)\$", lambda found: math(found[1]), template)
    template = re.sub(r"~([^~\n]+)~", lambda found: letters(found[1]), template)
    return Html(re.sub(r"\[\[(\w+)\]\]", lambda name: str(known[name[1]]), template))


def _numbers(template: str, values: Mapping[str, Any]) -> str:
    def put(found: re.Match[str]) -> str:
        value = values[found[1]]
        if isinstance(value, Html):
            return found[0]
        if isinstance(value, str):
            return value
        how = found[2] or "3"
        return scientific(value) if how == "sci" else number(float(value), int(how))

    return re.sub(r"\[\[(\w+)(?:\|(\w+))?\]\]", put, template)


def _displayed(lines: re.Match[str]) -> str:
    formulas = (f"<div>{math(line, block=True)}</div>" for line in lines[1].splitlines())
    return f'<div class="eq lines" tabindex="0">{"".join(formulas)}</div>\n'
