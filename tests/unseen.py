"""Derivations that were written down before the checker saw them, right ones and wrong ones.

unseen.txt has of each a name, what went wrong in words, and the lines: one that is wrong begins
with ``- `` and is followed by the right one, ``+ ``. ``python tests/unseen.py [--show]`` prints how
many verdicts are right, and how many of the sheets with mistakes are right once all that is told
about them has been done.
"""

from __future__ import annotations

import functools
import re
import sys
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent))

from tinygrad_edu import check_sheet
from tinygrad_edu.checking.table import Row
from tinygrad_edu.sheets.sheet import Sheet

#: Where a line without a claim is told to be at fault, or two are.
_AS = r"line (\d+) as (\w+.*? \S?= .+?)"
ABOVE = re.compile(rf"With {_AS}(?: and {_AS})? the line is right\.")


class Unseen(NamedTuple):
    """One sheet: its lines, and which of them are marked as wrong and as right."""

    name: str
    mistakes: str
    lines: tuple[str, ...]

    @property
    def is_right(self) -> bool:
        """Has it no mistake?"""
        return not any(line.startswith("- ") for line in self.lines)

    def text(self, right: bool) -> str:
        """The sheet as it is right, or as it was written."""
        keep, drop = ("+ ", "- ") if right else ("- ", "+ ")
        kept = [line.removeprefix(keep) for line in self.lines if not line.startswith(drop)]
        return "\n".join(kept) + "\n"

    def at_fault(self) -> set[int]:
        """The lines that are wrong, counted in the sheet as it was written."""
        kept = [line for line in self.lines if not line.startswith("+ ")]
        return {i for i, line in enumerate(kept, 1) if line.startswith("- ")}

    def loop_of(self, number: int) -> int:
        """Where the loop begins in which a line stands, or the line itself."""
        kept = [line.removeprefix("- ") for line in self.lines if not line.startswith("+ ")]
        while kept[number - 1].startswith(" "):
            number -= 1
        return number


def _read(text: str) -> Unseen:
    head, body = text.split("\n", 1)
    name, mistakes = head.split(": ", 1)
    return Unseen(name, mistakes, tuple(body.rstrip("\n").split("\n")))


UNSEEN = [
    _read(text)
    for text in re.split(
        r"(?m)^== ", (Path(__file__).parent / "unseen.txt").read_text("utf-8")
    )[1:]
]  # fmt: skip


@functools.cache
def _rows(text: str, name: str) -> list[Row]:
    return check_sheet(Sheet(text, name)).rows


def misjudged(sheet: Unseen) -> list[str]:
    """The claims with another verdict than they should have, of the right sheet and the wrong one.

    A wrong line is wrong or, where it claims nothing, makes a line below it wrong. No other line is
    but one that is told to be right with that line as it should be.
    """
    rows = _rows(sheet.text(right=True), sheet.name)
    found = [f"{row.name} {row.verdict}" for row in rows if row.verdict in ("wrong", "follows")]
    if sheet.is_right:
        return found
    rows = _rows(sheet.text(right=False), sheet.name)
    fault, claimed = sheet.at_fault(), {row.line for row in rows}
    wrong = {row.line for row in rows if row.verdict == "wrong"}
    missed = (fault & claimed) - wrong if wrong else fault
    accused = wrong - fault - {row.line for row in rows if _above(row) & fault}
    if not fault <= claimed:  # the lines that read one without a claim are wrong
        accused = {line for line in accused if line < sheet.loop_of(min(fault - claimed))}
    return [*found, *(f"line {i} not wrong" for i in missed), *(f"line {i} wrong" for i in accused)]


def _above(row: Row) -> set[int]:
    """The lines above that are told to be at fault."""
    told = ABOVE.search(row.diagnosis.explanation) if row.diagnosis else None
    return {int(line) for line in told.group(1, 3) if line} if told else set()


def mended(sheet: Unseen) -> str:
    """The sheet as it was written with all done that is told of its wrong lines."""
    text = sheet.text(right=False)
    lines = text.split("\n")
    told: dict[int, str] = {}
    rows = [row for row in _rows(text, sheet.name) if row.diagnosis]
    for row in rows:
        above = ABOVE.search(row.diagnosis.explanation)
        if above:
            told[int(above[1])] = above[2]
            told |= {int(above[3]): above[4]} if above[3] else {}
        elif row.diagnosis.correction:
            told[row.line] = row.diagnosis.correction
    for number, new in told.items():
        old = lines[number - 1]
        note = re.match(r"\s*\w+(: \w+) = ", old)  # hidden: dA1 = …
        if note and " = " in new:
            name, formula = new.split(" = ", 1)
            new = f"{name}{note[1]} = {formula}"
        lines[number - 1] = old[: len(old) - len(old.lstrip())] + new
    return "\n".join(lines)


def is_mended(sheet: Unseen) -> bool:
    """Is all right once that is done?"""
    rows = _rows(mended(sheet), sheet.name)
    return all(row.verdict not in ("wrong", "follows") for row in rows)


def main() -> None:
    """Print the figures."""
    show = "--show" in sys.argv
    errors = {sheet.name: misjudged(sheet) for sheet in UNSEEN}
    wrong = [sheet for sheet in UNSEEN if not sheet.is_right]
    done = {sheet.name: is_mended(sheet) for sheet in wrong}
    print(f"{len(UNSEEN)} sheets, {sum(not e for e in errors.values())} with every verdict right")
    print(f"{len(wrong)} with mistakes, {sum(done.values())} right once all that is told is done")
    if show:
        print({name: e for name, e in errors.items() if e})
        print([name for name, right in done.items() if not right])


if __name__ == "__main__":
    main()
