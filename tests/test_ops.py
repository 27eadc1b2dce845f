"""Every operation of the table, systematically: values, derivatives, shapes, dtypes, layouts."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from domains import ROWS, Case, cases, fitting_pairs, sampled, some_cases
from oracles import (
    check_difference,
    check_first,
    check_second,
    check_value,
    gradients,
    same,
    upstream,
)

import tinygrad_edu as tg
from tinygrad_edu.core.ops.table import TABLE

every_operation = pytest.mark.parametrize("name", ROWS)
differentiable = pytest.mark.parametrize("name", [n for n in ROWS if cases(n)[0].wrt])
elementwise = pytest.mark.parametrize("name", [n for n, row in ROWS.items() if row.elementwise])

#: Public functions that are no operations: they have tests of their own.
NO_OPERATIONS = {
    "GradError", "Value", "__version__", "abs", "amax", "amin", "around",
    "check_gradients", "debug_nans", "fix", "grad", "hessian",
    "jacobian", "name_values", "no_grad", "numerical_gradient", "one_hot", "value_and_grad", "vjp",
}  # fmt: skip


def test_every_operation_has_a_row():
    assert set(TABLE) <= set(ROWS), f"without a row: {set(TABLE) - set(ROWS)}"


def test_every_public_function_of_the_graph_has_a_row():
    """Compositions such as `stack` too: what the package exports and no other room has."""
    missing = set(tg.__all__) - set(tg._ROOM_OF) - NO_OPERATIONS - set(ROWS)
    assert not missing, f"without a row: {missing}"


@every_operation
def test_the_value_is_numpys(name):
    for case in cases(name):
        check_value(case)


@differentiable
@pytest.mark.one_in(5)
def test_the_derivative_is_that_of_the_complex_step(name):
    for case in cases(name):
        check_first(case)


@differentiable
def test_the_derivative_is_that_of_central_differences(name):
    for case in cases(name, salt=1):
        check_difference(case)


@differentiable
@pytest.mark.one_in(20)
def test_the_second_derivative_is_that_of_central_differences(name):
    for case in cases(name, salt=2):
        check_second(case)


@pytest.mark.parametrize(
    "name", [n for n, r in ROWS.items() if r.elementwise and len(r.domains) == 2]
)
@pytest.mark.one_in(3)
def test_every_pair_of_shapes_that_broadcasts(name):
    row = ROWS[name]
    for shapes in fitting_pairs():
        case = sampled(name, row, shapes, row.options[0], salt=3)
        check_value(case)
        if case.wrt:
            check_first(case)


@pytest.mark.parametrize("name", TABLE)
def test_the_shape_rule_agrees_with_the_forward(name):
    for case in cases(name):
        shapes = [np.shape(x) for x in case.arrays]
        forward = np.shape(case.call(*case.arrays, **case.options))
        assert TABLE[name].shape_rule(*shapes, **case.options) == forward, str(case)


@pytest.mark.parametrize("name", [name for name, op in TABLE.items() if op.definition])
def test_the_definition_gives_the_same_value_and_derivative(name):
    for case in cases(name):
        leaves = [tg.Value(x) for x in case.arrays]
        z = TABLE[name].definition(*leaves, **case.options)
        same(z.data, case.call(*case.arrays, **case.options), 1e-13, f"the definition of {case}")
        dz = upstream(case, z.shape)
        z.backward(dz)
        own = [tg.Value(x) for x in case.arrays]
        case.call(*own, **case.options).backward(dz)
        for i in case.wrt:
            same(leaves[i].grad, own[i].grad, 1e-12, f"the definition of {case}, input {i}")


@pytest.mark.parametrize("name", [name for name, op in TABLE.items() if op.with_slope])
def test_what_the_forward_keeps_is_what_the_rule_would_compute_again(name):
    op = TABLE[name]
    for case in cases(name):
        arrays = [np.asarray(x) for x in case.arrays]
        z, slope = op.with_slope(*arrays, **case.options)
        same(z, op.forward(*arrays, **case.options), 0.0, str(case))
        dz = upstream(case, np.shape(z))
        kept = op.rules[0](dz, z, *arrays, **case.options, slope=slope)
        same(kept, op.rules[0](dz, z, *arrays, **case.options), 1e-15, str(case))
    x, y = (tg.Value([0.3, 0.4]) for _ in range(2))
    assert op(x, y)._more[3] is not None
    assert op(x.detach(), y)._more is None
    with tg.no_grad():
        assert op(x, y)._more is None


@every_operation
@pytest.mark.one_in(5)
def test_float32_stays_float32_forward_and_backward(name):
    for case in cases(name):
        arrays = [np.asarray(x, dtype=np.float32)[()] for x in case.arrays]
        leaves = [tg.Value(x) for x in arrays]
        z = case.call(*leaves, **case.options)
        assert z.dtype == np.float32, str(case)
        assert np.allclose(
            z.data, case.reference(*case.arrays, **case.options), rtol=1e-4, atol=1e-4
        )
        if not case.wrt:
            continue
        dz = upstream(case, z.shape)
        z.backward(dz)
        wide = [tg.Value(x) for x in case.arrays]
        case.call(*wide, **case.options).backward(dz)
        for i in case.wrt:
            found = leaves[i].grad
            assert found.dtype == np.float32, f"{case}, input {i}: {found.dtype}"
            assert np.allclose(found, wide[i].grad, rtol=1e-3, atol=1e-3), f"{case}, input {i}"


@pytest.mark.parametrize("name", [n for n in ROWS if len(cases(n)[0].wrt) > 1])
@pytest.mark.one_in(2)
def test_each_gradient_has_the_dtype_of_its_own_input(name):
    for case in some_cases(name):
        for narrow in range(len(case.arrays)):
            arrays = [
                np.asarray(x, np.float32 if i == narrow else np.float64)[()]
                for i, x in enumerate(case.arrays)
            ]
            dz = upstream(case, np.shape(case.call(*case.arrays, **case.options)))
            expected = gradients(case, case.arrays, dz)
            found = gradients(case, tuple(arrays), dz)
            for i in case.wrt:
                what = f"{case}, input {narrow} in float32, gradient {i}"
                assert np.asarray(found[i]).dtype == np.asarray(arrays[i]).dtype, what
                same(found[i], expected[i], 1e-4, what)


SPECIAL = (
    0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 3.0, -2.0, 1e-320, 1e-200, -1e-200, 1e200, -1e200, 700.0,
        1000.0,
    -1000.0, np.inf, -np.inf, np.nan,
)  # fmt: skip


def _special_inputs(name: str) -> Any:
    row = ROWS[name]
    if len(row.domains) == 1:
        return [(x,) for x in SPECIAL]
    if len(row.domains) == 2:
        return [(x, y) for x in SPECIAL for y in SPECIAL]
    return [(c, x, y) for c in (0.0, 1.0, np.nan) for x in SPECIAL for y in SPECIAL[:4]]


@elementwise
@pytest.mark.one_in(3)
def test_a_float_is_answered_as_an_array_of_one_element(name):
    """Also where Python itself would raise: division by zero, overflow, a negative root."""
    function = cases(name)[0].call
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        for options in ROWS[name].options:
            for numbers in _special_inputs(name):
                lone = function(*numbers, **options)
                array = function(*[np.array([x]) for x in numbers], **options)
                assert type(lone) is float, f"{name}{numbers}: {type(lone)}"
                what = f"{name}{numbers} {options}: {lone} and {array[0]}"
                assert np.allclose(lone, array[0], rtol=1e-14, atol=0, equal_nan=True), what


@pytest.mark.parametrize(
    "name", [n for n, row in ROWS.items() if row.elementwise and cases(n)[0].wrt]
)
@pytest.mark.one_in(20)
def test_the_derivative_of_a_float_is_that_of_an_array_of_one_element(name):
    function = cases(name)[0].call
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        for options in ROWS[name].options:
            for numbers in _special_inputs(name):
                lone = [tg.Value(x) for x in numbers]
                function(*lone, **options).backward()
                arrays = [tg.Value([x]) for x in numbers]
                function(*arrays, **options).backward([1.0])
                for x, array in zip(lone, arrays):
                    if array.grad is None:
                        assert x.grad is None
                        continue
                    assert type(x.grad) is float
                    what = f"{name}{numbers} {options}: {x.grad} and {array.grad[0]}"
                    assert np.allclose(x.grad, array.grad[0], rtol=1e-13, atol=0, equal_nan=True), (
                        what
                    )


def _layouts(x: Any) -> Any:
    """The same numbers as views with other strides: (name, base array, from base to x)."""
    back = (slice(None, None, -1),) * x.ndim
    yield "negative strides", x[back], lambda base: base[back]
    yield "transposed", np.ascontiguousarray(x.T), lambda base: base.T
    wide = np.repeat(x, 2, axis=-1)
    yield "every other column", wide, lambda base: base[..., ::2]
    yield "a row of a larger array", np.stack([x * 7, x]), lambda base: base[1]


@every_operation
@pytest.mark.one_in(5)
def test_values_and_gradients_do_not_depend_on_the_layout(name):
    """Non-contiguous and negative strides, as they arise inside a graph."""
    for case in some_cases(name):
        if not any(np.ndim(x) for x in case.arrays):
            continue
        dz = upstream(case, np.shape(case.call(*case.arrays, **case.options)))
        straight = _run(case, [(x, None) for x in case.arrays], dz)
        for kinds in zip(*(_layouts(x) for x in case.arrays if np.ndim(x))):
            remaining = iter(kinds)
            given = [next(remaining)[1:] if np.ndim(x) else (x, None) for x in case.arrays]
            value, grads = _run(case, given, dz)
            same(value, straight[0], 1e-14, f"{case}, {kinds[0][0]}")
            for found, expected in zip(grads, straight[1]):
                if expected is not None:
                    same(found, expected, 1e-13, f"{case}, {kinds[0][0]}")


def _run(case: Case, given: Any, dz: Any) -> tuple[Any, list[Any]]:
    bases = [tg.Value(base) for base, _ in given]
    views = [+base if view is None else view(base) for base, (_, view) in zip(bases, given)]
    z = case.call(*views, **case.options)
    if not case.wrt:
        return z.data, []
    z.backward(dz)
    for i in case.wrt:  # what the base received is what its view received, at the view's places
        view = given[i][1]
        if view is not None:
            assert np.array_equal(view(bases[i].grad), views[i].grad)
            assert np.isclose(np.sum(np.abs(bases[i].grad)), np.sum(np.abs(views[i].grad)))
    return z.data, [view.grad for view in views]


def _made_of(x: Any) -> Any:
    """The same numbers, handed in as odd arrays."""
    frozen = x.copy()
    frozen.flags.writeable = False
    yield "read-only", frozen
    yield "big-endian", x.astype(">f8")
    yield "Fortran order", np.asfortranarray(x)
    yield "negative strides", x[::-1].copy()[::-1]
    yield "a nested list", x.tolist() if x.size else x  # no list has the shape (0, 3)
    yield "stride 0", np.broadcast_to(x, (2, *x.shape))[1]


@every_operation
@pytest.mark.one_in(5)
def test_inputs_may_be_any_kind_of_array_and_are_never_changed(name):
    for case in some_cases(name):
        if not any(np.size(x) and np.ndim(x) for x in case.arrays):
            continue
        expected = case.call(*case.arrays, **case.options)
        for kinds in zip(*(_made_of(np.asarray(x)) for x in case.arrays if np.ndim(x))):
            remaining = iter(kinds)
            given = [next(remaining)[1] if np.ndim(x) else x for x in case.arrays]
            before = [np.array(x) for x in given]
            z = case.call(*[tg.Value(x) for x in given], **case.options)
            same(z.data, expected, 1e-14, f"{case}, {kinds[0][0]}")
            if case.wrt:
                z.backward(upstream(case, z.shape))
            assert all(np.array_equal(x, y) for x, y in zip(given, before))


@differentiable
@pytest.mark.one_in(3)
def test_gradients_share_no_memory_with_anything(name):
    """Not with each other, not with the numbers, not with the seed: each may be written into."""
    for case in some_cases(name):
        leaves = [tg.Value(x) for x in case.arrays]
        middle = [+leaf for leaf in leaves]
        z = case.call(*middle, **case.options)
        seed = np.array(upstream(case, z.shape))
        z.backward(seed)
        nodes = [*leaves, *middle, z]
        for node in nodes:
            if isinstance(node.grad, np.ndarray):
                others = [n.grad for n in nodes if n is not node] + [n.data for n in nodes]
                held = [o.copy() for o in (*others, seed) if isinstance(o, np.ndarray)]
                node.grad[...] = 123.0
                now = [o for o in (*others, seed) if isinstance(o, np.ndarray)]
                assert all(np.array_equal(a, b) for a, b in zip(held, now)), f"{case}: shared"
