"""Programs of many single numbers: in which ways those may be given."""

import numpy as np
import pytest

import tinygrad_edu as tg

SIZES = [round(2.0 - 0.3 * k, 1) for k in range(60)]


@pytest.fixture
def program():
    """``Σ k·pₖ²`` of numbers each under a name of its own, with a factor that is given too."""
    p = {f"p{k}": tg.Value(x, f"p{k}") for k, x in enumerate(SIZES)}
    scale = tg.Value(1.0, "scale", requires_grad=False)
    cost = tg.Value(0.0, requires_grad=False)
    for k, v in enumerate(p.values()):
        cost = cost + v * v * float(k + 1)
    program = tg.compile(cost * scale)
    assert "181 operations on single numbers were recorded: 3 on arrays" in program.explain()
    return program


def truth(numbers, scale=1.0):
    cost = scale * sum((k + 1) * x * x for k, x in enumerate(numbers))
    return cost, {f"p{k}": 2 * scale * (k + 1) * x for k, x in enumerate(numbers)}


OTHERS = [x + 1 for x in SIZES]
NAMED = {f"p{k}": x for k, x in enumerate(OTHERS)}


@pytest.mark.parametrize("given, numbers, scale", [
    ({}, SIZES, 1.0),
    (NAMED, OTHERS, 1.0),
    (NAMED | {"scale": 3.0}, OTHERS, 3.0),
    ({"p2": 7.0}, [*SIZES[:2], 7.0, *SIZES[3:]], 1.0),
    (NAMED | {"p0": np.array(3.0)}, OTHERS, 1.0),
    (NAMED | {"p0": tg.Value(3.0)}, OTHERS, 1.0),
    (NAMED | {"p0": 3}, OTHERS, 1.0),
    ({name: int(x) for name, x in NAMED.items()}, [int(x) for x in OTHERS], 1.0),
])  # fmt: skip
def test_single_numbers_may_be_given_all_or_some_and_as_numbers_of_any_kind(
    program, given, numbers, scale
):
    cost, gradients = program(**given)
    expected, slopes = truth(numbers, scale)
    assert cost == pytest.approx(expected, rel=1e-12)
    assert {name: gradients[name] for name in slopes} == pytest.approx(slopes, rel=1e-12)
    assert type(gradients["p0"]) is float


def test_a_number_that_is_none_is_named(program):
    with pytest.raises(TypeError, match="p3"):
        program(**NAMED | {"p3": "three"})
    with pytest.raises(tg.GradError, match=r"p3: shape \(2,\) was given"):
        program(**NAMED | {"p3": np.ones(2)})


@pytest.mark.parametrize("given", [
    [3.0, -2.0], (3.0, -2.0), [3, -2], [np.float64(3.0), -2.0], np.array([3.0, -2.0]),
])  # fmt: skip
def test_a_list_may_be_given_as_numbers_of_any_kind_and_is_left_as_it_was(given):
    p = [tg.Value(1.0), tg.Value(5.0)]
    program = tg.compile(tg.sin(p[0]) * p[1], names={"p": p})
    before = str(given)
    cost, gradients = program(p=given)
    assert cost == pytest.approx(np.sin(3.0) * -2.0)
    np.testing.assert_allclose(gradients["p"], [-2.0 * np.cos(3.0), np.sin(3.0)])
    assert str(given) == before


@pytest.mark.parametrize("given, error", [
    ([1.0], tg.GradError), ([1.0, 2.0, 3.0], tg.GradError), ([[1.0, 2.0]], tg.GradError),
    ([1.0, "2"], TypeError), ([1.0, None], TypeError),
])  # fmt: skip
def test_a_list_of_another_length_or_kind_is_refused_by_name(given, error):
    p = [tg.Value(1.0), tg.Value(5.0)]
    program = tg.compile(tg.sin(p[0]) * p[1], names={"p": p})
    with pytest.raises(error, match=r"^p: "):
        program(p=given)
