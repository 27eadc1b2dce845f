"""The checker's figures: ``python tests/checker_figures.py [--mutants N] [--show]``.

On the sheets in tests/sheets: verdicts as expected, mistakes named, corrections near. On mutants
of random nets (tests/mutants.py): the same, and that nobody is falsely accused.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from mutants import mutants, nets

from tinygrad_edu import check_sheet
from tinygrad_edu.diagnosis.edit_cost import distance, tokens
from tinygrad_edu.sheets.sheet import Sheet
from tinygrad_edu.sheets.syntax import SheetError


def on_sheets(
    folder: Path, show: bool, missed: dict[str, set[tuple[str, str]]] | None = None
) -> dict[str, object]:
    """The figures; `missed` is told which wrong claims were not "named" and not "corrected"."""
    missed = {"named": set(), "corrected": set()} if missed is None else missed
    expected = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    counts: Counter[str] = Counter()
    times = []
    for name, want in expected.items():
        start = time.perf_counter()
        report = check_sheet(folder / f"{name}.sheet")
        times.append(time.perf_counter() - start)
        rows = {row.name: row for row in report.rows}
        for claim, verdict in want["expected"].items():
            counts["claims"] += 1
            counts["verdicts"] += rows[claim].verdict == verdict
            counts["accused"] += verdict == "correct" and rows[claim].verdict != "correct"
            if rows[claim].verdict != verdict and show:
                print("VERDICT", name, claim, verdict, rows[claim].verdict)
            if verdict != "wrong":
                continue
            counts["wrong"] += 1
            found, formula = rows[claim].diagnosis, rows[claim].formula
            named = found is not None and found.mistake in want["cls"]
            counts["named"] += named
            if not named:
                missed["named"].add((name, claim))
            if not named and show:
                print("NAME", name, claim, want["cls"], found and found.mistake, "|", formula)
            correction = found and found.correction
            near = correction is not None and distance(
                tokens(formula.split("=", 1)[1]), tokens(correction.split("=", 1)[-1])
            ) <= want["shortest"][claim] + 2  # fmt: skip
            counts["corrected"] += near
            if not near:
                missed["corrected"].add((name, claim))
            if not near and show:
                print("FAR", name, formula, "->", correction)
    times.sort()
    return {**counts, "median_s": round(times[len(times) // 2], 3), "worst_s": round(times[-1], 3)}


def on_mutants(n: int, show: bool, first: int = 0) -> dict[str, object]:
    counts: Counter[str] = Counter()
    per: dict[str, Counter[str]] = {}
    times = []
    for seed in range(first, first + n):
        net = nets(seed)
        report = check_sheet(Sheet(net.text(), f"net {seed}"))
        counts["nets"] += 1
        if not all(row.verdict == "correct" for row in report.rows):
            counts["falsely accused"] += 1
            if show:
                print("ACCUSED", seed, [(r.name, r.verdict) for r in report.rows])
        for mutant in mutants(net, seed):
            start = time.perf_counter()
            try:
                report = check_sheet(Sheet(mutant.text, f"net {seed}"))
            except SheetError as error:
                print("UNREADABLE", error, mutant.wrong)
                continue
            times.append(time.perf_counter() - start)
            row = next(r for r in report.rows if r.name == mutant.name)
            if row.verdict != "wrong":
                counts["not wrong"] += 1
                if show:
                    print("NOT WRONG", seed, mutant.kind, mutant.wrong, row.verdict, row.note)
                continue
            tally = per.setdefault(mutant.kind, Counter())
            tally["n"] += 1
            counts["mutants"] += 1
            others = [r.name for r in report.rows if r.verdict == "wrong" and r.name != mutant.name]
            counts["others accused"] += bool(others)
            if others and show:
                print("OTHERS", seed, mutant.kind, mutant.wrong, others)
            found = row.diagnosis
            named = found is not None and found.mistake in mutant.classes
            tally["named"] += named
            counts["named"] += named
            limit = distance(tokens(mutant.wrong), tokens(mutant.right)) + 2
            near = found is not None and found.correction is not None and distance(
                tokens(mutant.wrong), tokens(found.correction.split("=", 1)[1])
            ) <= limit  # fmt: skip
            counts["corrected"] += near
            tally["corrected"] += near
            if show and not (named and near):
                print(
                    "" if near else "FAR", "" if named else f"NAME {found and found.mistake}",
                    seed, mutant.kind, "|", mutant.wrong, "->", found and found.correction,
                    "|", mutant.right,
                )  # fmt: skip
    times.sort()
    if show:
        for kind, tally in sorted(per.items()):
            print(
                f"{kind:32} {tally['n']:4} named {tally['named']:4} corrected "
                f"{tally['corrected']:4}"
            )
    return {**counts, "median_s": round(times[len(times) // 2], 3), "worst_s": round(times[-1], 3)}


if __name__ == "__main__":
    show = "--show" in sys.argv
    numbers = [int(a) for a in sys.argv if a.isdigit()]
    folder = Path(__file__).parent / "sheets"
    if "--only-mutants" not in sys.argv:
        print("sheets:", on_sheets(folder, show))
    print(
        "mutants:",
        on_mutants(numbers[0] if numbers else 6, show, numbers[1] if len(numbers) > 1 else 0),
    )
