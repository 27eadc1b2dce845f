"""Mistakes planted by a program in pieces of code: how many are named and corrected."""

from __future__ import annotations

import pytest
from code_mutants import every_mutant, judged


@pytest.mark.slow
@pytest.mark.parametrize("half", [0, 1], ids=["looked at", "never looked at"])
def test_planted_mistakes_are_named_and_corrected(half, tmp_path):
    rows = [judged(mutant, tmp_path) for mutant in every_mutant()[half::2]]
    assert len(rows) >= 150
    assert all(row["followed"] and row["wrong"] for row in rows)
    with_line = [row for row in rows if row["kind"] != "deleted statement"]
    deleted = [row for row in rows if row["kind"] == "deleted statement"]
    assert sum(row["first"] for row in with_line) >= 0.92 * len(with_line)
    assert sum(row["three"] for row in with_line) >= 0.94 * len(with_line)
    assert sum(row["first"] for row in deleted) >= 0.8 * len(deleted)
    assert sum(row["corrected"] for row in rows) >= 0.85 * len(rows)
