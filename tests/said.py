"""What is said of wrong lines, read back and tested again on other numbers.

``python tests/said.py [--mutants N]`` counts the sentences of the sheets in tests/sheets and of
mutants of random nets, those that are no claims of the registry, and those that are false.
"""

from __future__ import annotations

import ast
import itertools
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np

from tinygrad_edu import check_sheet
from tinygrad_edu.checking.verdict import judge
from tinygrad_edu.diagnosis import statements  # noqa: F401
from tinygrad_edu.diagnosis.activations import context_of
from tinygrad_edu.diagnosis.claims import KINDS, Claim, Kind
from tinygrad_edu.diagnosis.diagnosing import NOT_SOUGHT, NOTHING_FOUND, RULE, UNFINISHED
from tinygrad_edu.diagnosis.edits import Edit
from tinygrad_edu.diagnosis.evidence import Case
from tinygrad_edu.sheets.account import DIAGNOSING, LARGEST_SEARCHED, Account
from tinygrad_edu.sheets.lines import Statement
from tinygrad_edu.sheets.reader import Reader
from tinygrad_edu.sheets.sheet import Sheet
from tinygrad_edu.sheets.syntax import Expr
from tinygrad_edu.words import Words

#: The sentences of the subject, which are claims about no line.
ADVICE = tuple(Words("en").under("advice").values())

#: Where another line is told to be at fault.
ABOVE = r"With line (\d+) as (\w+) = (.+?) the line is right\."

#: Where two lines are.
TWO_ABOVE = re.compile(r"With line (\d+) as (.+?) and line (\d+) as (.+?) the line is right\. ?")


def fresh(sheet: Sheet, seed: int) -> dict[str, Any]:
    """Other numbers for what a sheet is given, of the same kinds."""
    rng = np.random.default_rng(seed)
    numbers = {}
    for name, given in sheet.givens.items():
        value = sheet.main.values[name, 0]
        own = np.asarray(getattr(value, "data", value))
        if own.dtype.kind != "f" or given.kind not in (None, "normal"):
            continue
        numbers[name] = rng.normal(size=own.shape) * 0.7
    return numbers


def readers(sheet: Sheet, statement: Statement) -> Iterator[Any]:
    """Ways to read a formula of a sentence: names in their state above the line, and forward."""
    above: dict[str, int] = {}
    forward: dict[str, int] = {}
    for s in sheet.forward:
        above[s.name] = forward[s.name] = s.key[1]
    for s in sheet.backward:
        if s is statement:
            break
        above[s.name] = s.key[1]

    def read(known: dict[str, int]) -> Any:
        def formula(text: str) -> Expr:
            try:
                tree = ast.parse(text.strip(), mode="eval").body
                reader = Reader(sheet.formulas, text, lambda name: known.get(name, 0))
                return reader.read(tree)
            except Exception as error:
                raise ValueError(text) from error

        return formula

    own = dict(statement.expr.names)
    yield read({**above, **own})
    yield read({**above, **forward})


def claims_in(
    text: str, formula: Callable[[str], Expr], fixed: tuple[str, ...]
) -> list[Claim] | None:
    """The claims a text is made of, `fixed` sentences left out; None where it is made of others.

    `formula` reads a formula, and raises ValueError for what is none.
    """
    return next(_readings(text, formula, fixed), None)


def _readings(
    text: str, formula: Callable[[str], Expr], fixed: tuple[str, ...]
) -> Iterator[list[Claim]]:
    if not text:
        yield []
        return
    for sentence in fixed:
        if text.startswith(sentence):
            yield from _readings(text[len(sentence) :].lstrip(), formula, fixed)
    for kind in KINDS.values():
        for end in _ends(kind, text):
            found = _pattern(kind).fullmatch(text[:end])
            if found is None:
                continue
            try:
                arguments = [_read(found[h], kind.holes[h], formula) for h in kind.holes]
            except ValueError:
                continue
            for rest in _readings(text[end:].lstrip(), formula, fixed):
                yield [kind(*arguments), *rest]


def _ends(kind: Kind, text: str) -> Iterator[int]:
    """Where a sentence of a kind may end at the start of a text."""
    start = kind.text.split("{")[0]
    if not text.startswith(start):
        return
    for found in re.finditer(r"\.(?= |$)", text):
        yield found.end()


def _read(text: str, kind: str, formula: Callable[[str], Expr]) -> Any:
    if kind == "Expr":
        return formula(text)
    if kind == "int":
        return int(text)
    if kind == "tuple":
        return tuple(int(n) for n in re.findall(r"\d+", text))
    if not re.fullmatch(r"[^ ]+( [^ ]+){0,2}", text):
        raise ValueError(text)
    return text


def _pattern(kind: Kind) -> re.Pattern[str]:
    """What a sentence of a kind looks like."""
    pattern, seen = "", set()
    for i, part in enumerate(re.split(r"\{(\w+)\}", kind.text)):
        if i % 2:
            pattern += f"(?P={part})" if part in seen else f"(?P<{part}>.+?)"
            seen.add(part)
        else:
            pattern += re.escape(part)
    return re.compile(pattern)


def cases(sheet: Sheet, row: Any, convention: str) -> Iterator[tuple[Case, Any]]:
    """The evidence of a wrong row on other numbers, once for each way to read it."""
    judged, _ = judge(sheet, convention)
    context = context_of(judged, Account(DIAGNOSING * 10, LARGEST_SEARCHED))
    judgement = judged.judgements[row.name]
    statement = judgement.claim.last
    rule = row.diagnosis.explanation.partition(f" {RULE} ")[2].removesuffix(".")
    for formula, text in itertools.product(
        readers(sheet, statement), (row.diagnosis.correction, rule)
    ):
        fixed = None
        if text:
            try:
                fixed = formula(text.split(" = ", 1)[1])
            except (ValueError, IndexError):
                fixed = None
        edit = None if fixed is None else Edit(fixed, "read back")
        case = Case(context, judgement, statement.expr, edit, [])
        yield case, formula
        inlined = case.inlined(statement.expr)
        if inlined is not statement.expr:
            yield Case(context, judgement, inlined, edit, []), formula
        above = re.match(ABOVE, row.diagnosis.explanation)
        for s in context.above(statement) if above else ():
            if (s.line, s.name) == (int(above[1]), above[2]):  # what is told is told of this line
                put, name = sheet.formulas.substituted, context.name(s.key)
                line, right = (put(statement.expr, {name: e}) for e in (s.expr, formula(above[3])))
                yield Case(context, judgement, line, Edit(right, "read back"), []), formula


def with_lines(sheet: Sheet, new: dict[int, str], convention: str) -> dict[str, Any]:
    """The rows of a sheet with some of its lines as they are told to be."""
    lines = sheet.source.split("\n")
    for number, text in new.items():
        old = lines[number - 1]
        lines[number - 1] = old[: len(old) - len(old.lstrip())] + text
    report = check_sheet(Sheet("\n".join(lines), sheet.name, sheet.data), convention=convention)
    return {row.name: row for row in report.rows}


def false_or_unread(sheet: Sheet, row: Any, convention: str) -> tuple[int, list[str]]:
    """How many claims are made of a wrong row, and the sentences that are false or no claims."""
    said = row.diagnosis.explanation
    if said in (NOT_SOUGHT, UNFINISHED) or " of nothing" in said:
        return 0, []
    said = said.split(f" {RULE} ")[0]
    problems: list[str] = []
    two = TWO_ABOVE.match(said)
    if two is not None:
        rows = with_lines(sheet, {int(two[1]): two[2], int(two[3]): two[4]}, convention)
        if rows[row.name].verdict == "wrong":
            problems.append(f"false: {two[0]}")
        said = said[two.end() :]
        if not said:
            return 1, problems
    with np.errstate(all="ignore"):
        for case, formula in cases(sheet, row, convention):
            claims = claims_in(said, formula, ADVICE)
            if claims is None:
                problems.append(f"not made of claims: {said}")
                continue
            wrong = [claim.says for claim in claims if not claim.holds(case)]
            if not wrong:
                return len(claims), []
            problems.append(f"false: {wrong}")
    return 0, problems[:1]


def of_text(text: str, name: str, seed: int = 1) -> tuple[Counter[str], list[str]]:
    """The figures of one sheet, judged on its own numbers and read back on others."""
    counts: Counter[str] = Counter()
    report = check_sheet(Sheet(text, name))
    wrong = [row for row in report.rows if row.verdict == "wrong" and row.diagnosis]
    problems = []
    for row in wrong:
        own = Sheet(text, name)
        other = Sheet(text, name, fresh(own, seed))
        made, found = false_or_unread(other, row, report.convention or "auto")
        if found:  # numbers on which the line cannot be judged alike
            made, found = false_or_unread(own, row, report.convention or "auto")
        if row.diagnosis.explanation == NOTHING_FOUND:  # a detector stumbled
            found = [*found, str(NOTHING_FOUND)]
        counts["lines"] += 1
        counts["claims"] += made
        counts["false"] += bool(found)
        problems += [f"{name}: {row.formula}: {p}" for p in found]
    return counts, problems


def main() -> None:
    """Print the figures."""
    from mutants import mutants, nets

    total: Counter[str] = Counter()
    problems: list[str] = []
    for path in sorted((Path(__file__).parent / "sheets").glob("*.sheet")):
        counts, found = of_text(path.read_text(encoding="utf-8"), path.stem)
        total += counts
        problems += found
    print("sheets:", dict(total))
    wanted = int(sys.argv[sys.argv.index("--mutants") + 1]) if "--mutants" in sys.argv else 500
    total = Counter()
    seed = 0
    while total["lines"] < wanted:
        net = nets(seed)
        for mutant in mutants(net, seed):
            counts, found = of_text(mutant.text, f"net {seed}")
            total += counts
            problems += found
        seed += 1
    print("mutants:", dict(total))
    print("\n".join(problems))


if __name__ == "__main__":
    main()
