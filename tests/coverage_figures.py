"""What the tests reach: ``python tests/coverage_figures.py [tests …]``, statements and branches.

Slower than the tests alone, and on one core, because every branch taken is written down.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "coverage.json"
        command = [sys.executable, "-m", "pytest", "-m", "", "--cov", f"--cov-report=json:{report}"]
        done = subprocess.run([*command, *sys.argv[1:]], cwd=Path(__file__).parent.parent)
        totals = json.loads(report.read_text(encoding="utf-8"))["totals"]
    for what, reached, all_of_them in (
        ("statements", totals["covered_lines"], totals["num_statements"]),
        ("branches", totals["covered_branches"], totals["num_branches"]),
    ):
        print(f"{what}: {reached} of {all_of_them}, {100 * reached / all_of_them:.1f} %")
    sys.exit(done.returncode)
