"""Every sheet's derived lines, as the NumPy code they come as, against central differences."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from test_rules import named_nodes

import tinygrad_edu as tg
from tinygrad_edu.calculus.axes import find_examples
from tinygrad_edu.calculus.checks import central_difference
from tinygrad_edu.sheets.sheet import Sheet

SHEETS = sorted((Path(__file__).parent / "sheets").glob("*.sheet"))


def cost_of(sheet: Sheet, numbers: dict[str, object]) -> float:
    """The cost on other numbers, from the sheet's forward lines alone."""
    return float(np.asarray(sheet.graph(numbers).cost.data).reshape(()))


@pytest.mark.parametrize("path", SHEETS, ids=lambda path: path.stem)
@pytest.mark.one_in(8)
def test_emitted_numpy_agrees_with_central_differences_on_fresh_numbers(path):
    sheet = tg.load_sheet(path)
    derivation = sheet.derive(convention="calculus")
    namespace: dict[str, object] = {}
    exec(compile(derivation.to_numpy(), str(path), "exec"), namespace)
    function = namespace["gradients"]
    arguments = function.__code__.co_varnames[: function.__code__.co_argcount]
    numbers = sheet.draw(seed=7)
    for name, value in sheet.data.items():  # a mask or an index means what it says
        if sheet.givens[name].kind in ("binary", "integers"):
            numbers[name] = value
    given = {name: numbers[name] if name in numbers else sheet.values[name] for name in arguments}
    with np.errstate(all="ignore"):
        cost, gradients = function(
            **{name: v.data if isinstance(v, tg.Value) else v for name, v in given.items()}
        )
    assert cost == pytest.approx(cost_of(sheet, numbers), rel=1e-9, nan_ok=True)
    checked = 0
    for rule in derivation.rules:
        of = rule.of
        if of not in numbers or sheet.givens[of].kind in ("binary", "integers", "onehot"):
            continue

        def moved(x, of=of):
            return cost_of(sheet, numbers | {of: x})

        expected = np.asarray(central_difference(moved, numbers[of], 1e-6))
        scale = 1e-6 + np.max(np.abs(expected), initial=0.0)
        np.testing.assert_allclose(np.asarray(gradients[rule.name]), expected, atol=1e-5 * scale)
        assert np.shape(gradients[rule.name]) == expected.shape
        checked += 1
    assert checked > 0 or not any(rule.of in numbers for rule in derivation.rules)


@pytest.mark.parametrize("path", SHEETS, ids=lambda path: path.stem)
@pytest.mark.one_in(4)
def test_rules_and_checker_mean_the_same_examples(path):
    """A gradient is m·∂J/∂Q in a derived line just where the checker takes it for that."""
    sheet = tg.load_sheet(path)
    examples, nodes = (
        find_examples(sheet.cost, origins=sheet.origins(sheet.main)),
        named_nodes(sheet.cost),
    )
    derivation = sheet.derive(convention="lecture")
    assert derivation.convention == ("calculus" if examples is None else "lecture")
    for rule in derivation.rules:
        if rule.of in nodes:
            node = nodes[rule.of]
            scaled = examples is not None and node.op is not None and examples.has(node)
            assert bool(rule.scale) == scaled, rule.text
