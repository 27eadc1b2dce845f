"""Derivations made up at random: the right ones are never accused, one wrong number never passes.

``DERIVATIONS=2000`` makes 2,000 of each.
"""

import os

import numpy as np
import pytest
from derivations import right, wrong

from tinygrad_edu.checking.verdict import judge
from tinygrad_edu.sheets.sheet import Sheet

COUNT = int(os.environ.get("DERIVATIONS", "40"))
CHUNKS = 8


def verdicts(text):
    """The verdict and note of every claim."""
    judged, _ = judge(Sheet(text))
    return {name: (j.verdict, j.note) for name, j in judged.judgements.items()}


@pytest.mark.parametrize("chunk", range(CHUNKS))
@pytest.mark.one_in(2)
def test_a_right_derivation_is_never_accused(chunk):
    accused = []
    for seed in range(chunk, COUNT, CHUNKS):
        derivation = right(seed)
        found = verdicts(str(derivation))
        assert list(found) == list(derivation.claims)
        bad = {name: verdict for name, (verdict, _) in found.items() if verdict != "correct"}
        if bad:
            accused.append((seed, bad, derivation.features))
    assert accused == []


@pytest.mark.parametrize("chunk", range(CHUNKS))
@pytest.mark.one_in(2)
def test_one_wrong_number_is_never_accepted(chunk):
    accepted = []
    for seed in range(chunk, COUNT, CHUNKS):
        derivation, name, what = wrong(seed)
        found = verdicts(str(derivation))
        at_these_sizes = found[name][1] is not None and "other sizes" in found[name][1]
        if found[name][0] == "correct" and not at_these_sizes:
            if all(verdict == "correct" for verdict, _ in found.values()):
                accepted.append((seed, name, what, derivation.features))
    assert accepted == []


@pytest.mark.parametrize("seed", range(12))
def test_the_generated_derivations_are_right_by_central_differences(seed):
    derivation = right(seed)
    names = {"np": np}
    sheet = Sheet(str(derivation))
    numbers = sheet.draw(3)
    lines = [line for line in derivation.forward if ":" not in line.split("=")[0]]
    sizes = [line for line in lines if line.startswith(("m =", "lam ="))]
    exec("\n".join(sizes), names)

    def run(given):
        scope = {**names, **given}
        exec("\n".join(lines), scope)
        return scope

    scope = run(numbers)
    exec("\n".join(f"{k} = {v}" for k, v in derivation.claims.items()), scope)
    for name in derivation.claims:
        of = name[1:]
        if of not in numbers:
            continue
        for index in np.ndindex(numbers[of].shape):
            costs = []
            for step in (1e-5, -1e-5):
                moved = numbers[of].copy()
                moved[index] += step
                costs.append(float(run({**numbers, of: moved})["J"]))
            assert scope[name][index] == pytest.approx((costs[0] - costs[1]) / 2e-5, abs=1e-5), name
