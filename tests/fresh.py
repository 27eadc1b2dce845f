"""Derivations in forms the checker was not built on, each with one mistake: 40 sheets.

Written before any of them was judged. fresh.txt has of each the names that the mistake may go by,
the lines above it, the line as it is wrong (-) and as it is right (+).
``python tests/fresh.py [--show]`` prints how many were named and corrected, and which sentences are
false when they are read back on other numbers.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent))

from tinygrad_edu import check_sheet
from tinygrad_edu.diagnosis.edit_cost import distance, tokens
from tinygrad_edu.sheets.sheet import Sheet


class Fresh(NamedTuple):
    """One sheet with one mistake."""

    name: str
    above: str
    wrong: str
    right: str
    classes: str

    @property
    def text(self) -> str:
        """The sheet."""
        return f"{self.above}\n{self.wrong}\n"


def _read(text: str) -> Fresh:
    head, body = text.split("\n", 1)
    name, classes = head.split(": ")
    lines = body.strip().split("\n")
    return Fresh(name, "\n".join(lines[:-2]), lines[-2].removeprefix("- "), lines[-1][2:], classes)


FRESH = [
    _read(text)
    for text in (Path(__file__).parent / "fresh.txt").read_text("utf-8").split("== ")
    if text.strip()
]


def judged(sheet: Fresh) -> tuple[bool, bool, str]:
    """Is the mistake named, is a correction near, and what was said."""
    report = check_sheet(Sheet(sheet.text, sheet.name))
    row = report.rows[-1]
    others = [r.name for r in report.rows[:-1] if r.verdict != "correct"]
    found = row.diagnosis
    if row.verdict != "wrong" or others or found is None:
        return False, False, f"{row.verdict}, others not correct: {others}"
    wrong, right = (tokens(line.split("=", 1)[1]) for line in (sheet.wrong, _plain(sheet.right)))
    near = found.correction is not None and distance(
        wrong, tokens(_plain(found.correction).split("=", 1)[1])
    ) <= distance(wrong, right) + 2  # fmt: skip
    text = f"{found.mistake}: {found.explanation} -> {found.correction}"
    return found.mistake in sheet.classes.split(), near, text


def _plain(line: str) -> str:
    return line if "=" in line else f"= {line}"


def main() -> None:
    """Print the figures."""
    from said import of_text

    counts: Counter[str] = Counter()
    for sheet in FRESH:
        counts["sheets"] += 1
        named, near, text = judged(sheet)
        counts["named"] += named
        counts["corrected"] += near
        said, problems = of_text(sheet.text, sheet.name)
        counts["claims"] += said["claims"]
        counts["false"] += len(problems)
        if "--show" in sys.argv or problems:
            print("  " if named else "NAME", "  " if near else "FAR", sheet.name, "|", sheet.wrong)
            print("        ", text, *problems)
    print(dict(counts))


if __name__ == "__main__":
    main()
