"""Mistakes planted by a program in pieces of code: how many are named and corrected.

Some of them here; ``python tests/code_mutants.py`` plants all and prints the table by kind.
"""

from __future__ import annotations

import pytest
from code_mutants import every_mutant, judged


@pytest.mark.slow
def test_planted_mistakes_are_named_and_corrected(tmp_path):
    rows = [judged(mutant, tmp_path) for mutant in every_mutant()[::20]]
    assert len(rows) >= 15
    assert all(row["followed"] and row["wrong"] for row in rows)
    with_line = [row for row in rows if row["kind"] != "deleted statement"]
    assert sum(row["three"] for row in with_line) >= 0.8 * len(with_line)
    assert sum(row["corrected"] for row in rows) >= 0.7 * len(rows)
