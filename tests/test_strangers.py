"""Small texts that ask for much are judged or refused, in words, within 10 s and 700 MB.

Each is read by the command line in a process without limits of its own, of which processor time and
peak memory are measured. ``STRANGERS`` is the number of texts made up at random; above 100
every text of `GROWING` is derived and drawn too, else every fourth.
"""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from strangers import END, GROWING, HEAD, PEAK, grown, layers

import tinygrad_edu as tg
from tinygrad_edu.sheets.account import READING, Account, TooMuch, entries_of, indexed
from tinygrad_edu.sheets.sheet import Sheet
from tinygrad_edu.sheets.syntax import SheetError

STRANGERS = int(os.environ.get("STRANGERS", "10"))
SECONDS, MEMORY = 10, 700_000
ROOT = Path(__file__).parent.parent
#: Those that take longest: they are judged to the end.
SLOW = (
    "60 layers with a mistake in each", "shared terms", "140 wrong lines", "60 layers", "ties",
    "a product of many numbers", "a graph that just fits", "300 claims of one quantity",
    "1,900 small lines", "masks over masks", "shared matrix products",
)  # fmt: skip
CHILD = (
    PEAK
    + """
import gc, json, sys, time, warnings
import tinygrad_edu as tg
from tinygrad_edu.cli import main
warnings.simplefilter("ignore")
command, took = sys.argv[1:], {}
for path in json.load(sys.stdin):
    started, said = time.process_time(), sys.stdout
    with open(path + ".said", "w", encoding="utf-8") as sys.stdout, \\
         open(path + ".said", "a", encoding="utf-8") as sys.stderr:
        code = main([command[0], path, *command[1:]])
    sys.stdout = said
    gc.collect()  # the next text has memory of its own, as in another process
    took[path] = code, time.process_time() - started
print(json.dumps([took, peak()]))
"""
)


def read(desk: Path, texts: dict[str, str], *command: str) -> dict[str, str]:
    """What a command says of each text; none takes more time or memory than it may."""
    paths = {name: str(desk / f"{i}.sheet") for i, name in enumerate(texts)}
    for name, path in paths.items():
        Path(path).write_text(texts[name])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CHILD, *command],
        input=json.dumps([*paths.values()]), capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-1500:]
    took, peak = json.loads(done.stdout)
    assert peak < MEMORY
    slow = {name: took[path][1] for name, path in paths.items() if took[path][1] > SECONDS}
    assert not slow
    assert {took[path][0] for path in paths.values()} <= {0, 1, 2}
    return {name: Path(path + ".said").read_text("utf-8") for name, path in paths.items()}


def some_and_all(some, everything):
    """Two sets of names to test with: the other tests wait for the first alone."""
    return pytest.mark.parametrize(
        "names", [some, pytest.param(everything, marks=pytest.mark.slow)], ids=["some", "all"]
    )


@some_and_all([name for name in GROWING if name not in SLOW][::9], GROWING.keys() - SLOW)
@pytest.mark.slow
def test_texts_that_grow_are_judged_or_refused(names, tmp_path):
    texts = {name: GROWING[name] for name in sorted(names)}
    for name, said in read(tmp_path, texts, "check", "--json").items():
        (report,) = json.loads(said)
        assert report["rules"] or re.search(r"line \d+, column \d+: ", report["error"]), name


@pytest.mark.parametrize(
    "name",
    [SLOW[3], *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW if name != SLOW[3])],
)
@pytest.mark.slow
def test_a_text_that_grows_slowly_is_judged(name, tmp_path):
    said = read(tmp_path, {name: GROWING[name]}, "check", "--json")
    (report,) = json.loads(said[name])
    assert report["error"] is None
    assert all(rule["verdict"] in ("correct", "follows", "wrong") for rule in report["rules"])


@pytest.mark.parametrize("command", [("derive",), ("draw", "-o", "x.dot")], ids=" ".join)
@some_and_all(["many numbers, many shapes"], GROWING if STRANGERS > 100 else sorted(GROWING)[::4])
@pytest.mark.one_in(2)
def test_texts_that_grow_are_derived_and_drawn_within_bounds(names, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = read(tmp_path, {name: GROWING[name] for name in sorted(names)}, *command)
    assert all("Traceback" not in one for one in said.values())


@pytest.mark.slow
def test_texts_that_grow_at_random_are_judged_or_refused(tmp_path):
    texts = {str(seed): grown(random.Random(seed)) for seed in range(STRANGERS)}
    for name, said in read(tmp_path, texts, "check", "--json").items():
        (report,) = json.loads(said)
        assert report["rules"] or re.search(r"line \d+, column \d+: ", report["error"]), name


@pytest.mark.parametrize(
    "text, line",
    [
        (HEAD + "t = (1, 2)\n" + "t = t + t\n" * 30 + END, 20),
        ("A: (1400, 1400)\nB = A * 2\nC = B @ B\nD = C @ C\nE = D @ D\nJ = np.sum(E)\n", 3),
        ("".join(f"a{i}: (1000, 1999)\n" for i in range(30)) + "J = np.sum(a0)\n", 21),
    ],
)
@pytest.mark.slow
def test_the_line_that_was_too_much_is_named(text, line):
    with pytest.raises(SheetError, match="more than a sheet may") as caught:
        Sheet(text)
    assert caught.value.line == line


@pytest.mark.slow
def test_what_is_wrong_is_sought_in_the_first_lines_first(monkeypatch):
    text = layers(8, "Z")
    whole = tg.check_sheet(Sheet(text))
    wrong = [row for row in whole.rows if row.verdict == "wrong"]
    assert [row.diagnosis.mistake for row in wrong] == ["derivative_at_wrong_point"] * 8
    monkeypatch.setattr("tinygrad_edu.diagnosis.diagnosing.DIAGNOSING", 100_000_000)
    part = [row for row in tg.check_sheet(Sheet(text)).rows if row.verdict == "wrong"]
    sought = [row.diagnosis.mistake for row in part]
    assert sought == sorted(sought)  # "derivative…" before "other"
    assert 0 < sought.count("other") < 8
    assert "not sought" in part[-1].diagnosis.explanation
    assert part[-1].diagnosis.correction is None


@pytest.mark.slow
def test_a_large_sheet_of_the_ordinary_kind_is_judged():
    text = "m = 500\nX: (784, m)\nY: (10, m) = onehot(axis=0)\nW1: (64, 784)\nb1: (64, 1)\n"
    text += "W2: (10, 64)\nZ1 = W1 @ X / 28 + b1\nA1 = np.maximum(Z1, 0)\nZ2 = W2 @ A1\n"
    text += "A2 = softmax(Z2, axis=0)\nJ = -np.sum(Y * np.log(A2)) / m\ndZ2 = A2 - Y\n"
    text += "dW2 = dZ2 @ A1.T / m\ndZ1 = W2.T @ dZ2 * (Z1 > 0)\ndW1 = dZ1 @ X.T / 28 / m\n"
    assert [row.verdict for row in tg.check_sheet(Sheet(text)).rows] == ["correct"] * 4


# --- the account ----------------------------------------------------------------------------------


def test_an_account_is_used_up_at_once_and_for_good():
    account = Account(100_000.0)
    account.charge(10)
    with pytest.raises(TooMuch):
        account.charge(200_000)
    with pytest.raises(TooMuch):
        account.charge(1)


def test_an_array_too_large_is_an_error_of_its_formula_only():
    account = Account(READING, most=1000)
    with pytest.raises(ValueError, match="1001 entries"):
        account.charge(1001)
    account.charge(1000)


def test_the_entries_of_lists_in_lists_are_counted_without_walking_each():
    shared: list[object] = [1, 2]
    for _ in range(7):
        shared = [shared, shared]
    assert entries_of(shared) > 2 * 2**7
    assert entries_of([np.ones((3, 4)), (5, 6)]) >= 14
    with pytest.raises(ValueError, match="lists in more than"):
        entries_of([shared])


@pytest.mark.parametrize(
    "index",
    [
        0, slice(1, 3), None, ..., np.arange(4), np.arange(4).reshape(2, 2), (slice(None), 1),
        (np.arange(3)[:, None], np.arange(2)), (np.arange(3), slice(None), np.arange(3)),
        np.ones(4, bool), (slice(None), np.array([True, False, True, False, True])),
        np.ones((4, 5), bool), (None, np.arange(2), ..., None), (slice(0, 0), np.arange(0)),
    ],
    ids=repr,
)  # fmt: skip
def test_the_size_of_what_is_indexed_is_known_before(index):
    x = np.zeros((4, 5, 6))
    assert indexed(x.shape, index) == x[index].size
