"""Every example runs alone, in a folder of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.py"))

#: Those that train for seconds, or start several processes.
SLOW = ("09_digits", "11_vanishing", "12_boltzmann", "13_eight_devices", "14_streamed")


@pytest.mark.parametrize(
    "example",
    [
        pytest.param(example, marks=pytest.mark.slow if example.stem in SLOW else ())
        for example in EXAMPLES
    ],
    ids=lambda example: example.stem,
)
@pytest.mark.one_in(5)
def test_example_runs(example, tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "error", example],
        cwd=tmp_path, capture_output=True, text=True, encoding="utf-8", timeout=120,
    )  # fmt: skip
    if "pip install" in done.stderr:
        pytest.skip(done.stderr.strip().splitlines()[-1])  # an extra that is not installed
    assert done.returncode == 0, done.stderr
    assert done.stdout
    pictures = {made.name for made in tmp_path.glob("*.svg")}
    kept = {path.name for path in example.parent.glob(f"{example.stem}*.svg")}
    assert pictures == kept, "the pictures in the repository are those an example draws"


def test_examples_are_numbered_without_a_gap():
    assert [int(example.name[:2]) for example in EXAMPLES] == list(range(1, len(EXAMPLES) + 1))
