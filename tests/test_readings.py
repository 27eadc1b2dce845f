"""One table of operations, several readings: program, formulas and eager sweep say the same.

Every case of the table becomes a cost, the sum of its result times random numbers. These are a leaf
too: its gradient is the operation's value, so each reading answers for that as well. It is asked on
the numbers that were recorded, and on others.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from domains import ROWS, Case, cases, fitting_pairs, sampled, some_cases
from oracles import same, upstream
from readings import by_the_lines, by_the_sweep, function_of, named, numbers_of

import tinygrad_edu as tg

TOLERANCE = 1e-12

every_operation = pytest.mark.parametrize("name", ROWS)


#: A case, and the same on other numbers.
Pair = tuple[Case, Case]


def of_the_table(name: str) -> Iterator[Pair]:
    """The cases of an operation."""
    yield from zip(cases(name, salt=5), cases(name, salt=6))


def of_all_shapes(name: str) -> Iterator[Pair]:
    """For a function of two single numbers every pair of shapes that broadcasts; else nothing."""
    row = ROWS[name]
    if row.elementwise and len(row.domains) == 2:
        for shapes in fitting_pairs():
            one, other = (sampled(name, row, shapes, row.options[0], salt) for salt in (5, 6))
            yield one, other


def cost_of(case: Case, name: str | None, salt: int) -> Any:
    """``J = sum(seed * z)``; z, the operation's result, gets a name or none."""
    leaves = [tg.Value(x, f"x{i}") for i, x in enumerate(case.arrays)]
    z = case.call(*leaves, **case.options)
    z = +z if z.op is None else z  # what leaves its input as it is
    cost = tg.sum(tg.Value(upstream(case, z.shape, salt), "seed") * z)
    z.name, cost.name = name, "J"
    return cost


def costs(pairs: Iterator[Pair], result: str | None = None) -> Iterator[tuple[Case, Any, Any]]:
    """Cases as costs, on the numbers to record and on others."""
    for case, other in pairs:
        yield case, cost_of(case, result, 5), cost_of(other, result, 6)


def agree(found: dict[str, Any], expected: dict[str, Any], what: Any) -> None:
    for key, g in found.items():
        same(g, expected[key], TOLERANCE, f"{what}, d{key}")


@every_operation
@pytest.mark.one_in(20)
def test_the_compiled_program_says_what_the_sweep_says(name):
    for case, recorded, other in costs(itertools.chain(of_the_table(name), of_all_shapes(name))):
        program = tg.compile(recorded)
        for cost in (recorded, other):
            value, gradients = program(**numbers_of(cost, leaves=True))
            same(value, cost.data, TOLERANCE, str(case))
            assert set(gradients) == set(numbers_of(cost, leaves=True))
            agree(gradients, by_the_sweep(cost), case)


@every_operation
@pytest.mark.one_in(8)
def test_the_compiled_program_keeps_float32(name):
    for case in some_cases(name, salt=5):
        narrow = tuple(np.asarray(x, dtype=np.float32)[()] for x in case.arrays)
        cost = cost_of(replace(case, arrays=narrow), None, 5)
        expected = by_the_sweep(cost)
        value, gradients = tg.compile(cost)(**numbers_of(cost, leaves=True))
        same(value, cost.data, 1e-5, str(case))
        for key, g in gradients.items():
            assert np.asarray(g).dtype == np.asarray(expected[key]).dtype, f"{case}, d{key}"
            same(g, expected[key], 1e-4, f"{case}, d{key}")


def odd(x: Any) -> Iterator[Any]:
    """The same numbers in arrays of other kinds; a single number as it is."""
    if not np.ndim(x):
        yield from itertools.repeat(x, 5)
        return
    frozen = x.copy()
    frozen.flags.writeable = False
    yield frozen
    yield x.astype(">f8")
    yield np.asfortranarray(x)
    yield x[::-1].copy()[::-1]
    yield np.repeat(x, 2, axis=-1)[..., ::2]


@every_operation
@pytest.mark.one_in(8)
def test_the_compiled_program_takes_any_kind_of_array_and_changes_none(name):
    for case in some_cases(name, salt=5):
        cost = cost_of(case, None, 5)
        expected, numbers = by_the_sweep(cost), numbers_of(cost, leaves=True)
        program = tg.compile(cost)
        for kinds in zip(*map(odd, numbers.values())):
            before = [np.array(x) for x in kinds]
            _, gradients = program(**dict(zip(numbers, kinds)))
            agree(gradients, expected, case)
            assert all(np.array_equal(x, y) for x, y in zip(kinds, before))


def assert_lines_say_what_the_sweep_says(
    case: Case, derivation: tg.Derivation, both: tuple[Any, Any]
) -> None:
    """As a function of their own, and one by one where they mention nothing that has no name."""
    nodes = named(both[0])
    wanted = {k for k in ("seed", "z") if k in nodes and nodes[k].requires_grad}
    wanted |= {f"x{i}" for i in case.wrt}
    found = {rule.of for rule in derivation}
    # What takes several steps may have lines for what is used twice, t1 and so on.
    assert wanted <= found, str(case)
    assert all(re.fullmatch(r"t\d+", name) for name in found - wanted), str(case)
    function = function_of(derivation)
    for cost in both:
        expected, numbers = by_the_sweep(cost), numbers_of(cost)
        value, gradients = function(numbers)
        same(value, cost.data, TOLERANCE, str(case))
        agree({k: g for k, g in gradients.items() if k in wanted}, expected, case)
        # Lines alone know no steps in between, and no array without a name.
        if not derivation.definitions and wanted == found and "c1" not in derivation.to_numpy():
            agree(by_the_lines(derivation, numbers), expected, case)


@every_operation
@pytest.mark.one_in(32)
def test_the_derived_lines_say_what_the_sweep_says(name):
    for case, recorded, other in costs(of_the_table(name)):
        wrt = ["seed", *(f"x{i}" for i in case.wrt)]
        derivation = tg.derive(recorded, wrt=wrt, convention="calculus")
        assert_lines_say_what_the_sweep_says(case, derivation, (recorded, other))


@pytest.mark.slow
@every_operation
def test_the_derived_lines_of_all_that_has_a_name_say_what_the_sweep_says(name):
    pairs = itertools.chain(of_the_table(name), of_all_shapes(name))
    for case, recorded, other in costs(pairs, "z"):
        derivation = tg.derive(recorded, every=True, convention="calculus")
        assert_lines_say_what_the_sweep_says(case, derivation, (recorded, other))


#: What a formula cannot hold, and says so: it is made of names and of numbers that are fractions.
NO_FORMULA = {
    "the limits of clip as arrays": lambda x: tg.clip(x, np.array([0.1, 0.2, 0.3]), None),
    "a limit of clip as an array": lambda x: tg.clip(x, None, np.array([0.1, 0.2, 0.3])),
    "an infinite power": lambda x: x**-np.inf,
}


@pytest.mark.parametrize("what", NO_FORMULA)
def test_an_operation_without_a_formula_is_told(what):
    cost = tg.sum(NO_FORMULA[what](tg.Value([0.15, 0.5, 0.25], "x")))
    with pytest.raises(tg.GradError, match="as an option of an operation has no formula"):
        tg.derive(cost)
