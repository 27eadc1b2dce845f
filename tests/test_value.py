"""Value: every promise a node of a graph makes to those who hold it."""

from __future__ import annotations

import copy
import gc
import math
import pickle
import weakref

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import GradError, Value


def rng():
    return np.random.default_rng(7)


# --- making one --------------------------------------------------------------------------------


def test_a_single_number_is_a_python_float():
    for number in (3, 3.0, True, np.float64(3), np.int32(3), np.array(3.0), np.array(3)):
        v = Value(number)
        assert type(v.data) is float
        assert v.shape == ()
        assert (v.ndim, v.size, v.dtype) == (0, 1, np.float64)
    assert type(Value(np.float32(3)).data) is np.float32


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint64, int, np.float64, ">f8", "<i4"])
def test_whole_numbers_and_booleans_become_float64(dtype):
    v = Value(np.array([[1, 0, 1]], dtype=dtype))
    assert v.dtype == np.float64
    assert v.dtype.isnative
    assert v.shape == (1, 3)
    (v * 0.5).sum().backward()
    assert v.grad.tolist() == [[0.5, 0.5, 0.5]]


def test_float32_stays():
    v = Value(np.ones((2, 3), dtype=np.float32))
    assert (v * 2 + 1).dtype == np.float32
    assert (v + np.arange(3)).dtype == np.float32  # whole constants take the Value's type
    assert (np.array([True, False, True]) * v).dtype == np.float32


class Unreadable:
    """No number at all."""


@pytest.mark.parametrize(
    "nonsense",
    ["abc", b"abc", None, {}, {1.0}, [1, "a"], [None], Unreadable(), [[1, 2], [3]], 1j, [1, 2j],
     object,
     np.array([object()]), np.array(["a"]), np.array([1 + 1j]), np.array(["2020"], "M8[Y]"),
     np.ma.masked_array([1.0], [True]), np.zeros(2, dtype=[("a", float)]), lambda: 1, [10**400]],
    ids=lambda nonsense: type(nonsense).__name__,
)  # fmt: skip
def test_what_is_not_numbers_is_refused(nonsense):
    for make in (
        lambda: Value(nonsense),
        lambda: tg.add(Value(1.0), nonsense),
        lambda: tg.where(True, Value(1.0), nonsense),
    ):
        with pytest.raises((TypeError, GradError)):
            make()


def test_a_matrix_is_refused():
    with pytest.warns(PendingDeprecationWarning):
        matrix = np.matrix([[1.0, 2.0]])
    with pytest.raises(TypeError, match="matrix is not supported"):
        Value(matrix)


def test_too_large_an_integer_is_a_clear_error():
    for make in (
        lambda: Value(10**400),
        lambda: Value(1.0) * 10**400,
        lambda: Value(1.0) ** 10**400,
    ):
        with pytest.raises(GradError, match="too large"):
            make()


def test_a_value_of_a_value_is_refused_with_the_way_out():
    with pytest.raises(TypeError, match=r"v\.detach\(\)"):
        Value(Value(3.0))
    with pytest.raises(TypeError, match=r"tg\.stack"):
        Value([Value(1.0), Value(2.0)])


def test_a_name_is_a_string():
    assert Value(1.0, "وزن").name == "وزن"
    with pytest.raises(TypeError, match="a name is a string"):
        Value(1.0, 5)


def test_the_array_handed_in_is_copied():
    for given in (np.ones(3), np.ones((2, 3)).T, np.broadcast_to(1.0, (3,)), np.ones(6)[::2]):
        v = Value(given)
        assert not np.shares_memory(given, v.data)


def test_empty_values_work_forward_and_backward():
    v = Value(np.zeros((0, 3)))
    (v * 2 + np.ones(3)).sum().backward()
    assert v.grad.shape == (0, 3)
    with pytest.warns(RuntimeWarning):
        Value(np.zeros(0)).mean().backward()


# --- what it answers ---------------------------------------------------------------------------


def test_comparisons_are_plain_booleans():
    v = Value([1.0, 2.0, 3.0])
    for found in (v > 2, v >= 2, v < 2, v <= 2, v == 2, v != 2, 2 > v, v == Value(2.0)):
        assert type(found) is np.ndarray
        assert found.dtype == bool
    assert (v > 2).tolist() == [False, False, True]
    assert Value(3.0) > 2
    assert not Value(3.0) < 2
    assert (np.array([0.0, 5.0]) < Value(2.0)).tolist() == [True, False]


def test_it_equals_no_text_and_no_none():
    assert not Value(1.0) == "1"
    assert Value(1.0) != "1"
    with pytest.raises(TypeError):
        assert Value(1.0) < "1"


def test_the_hash_is_identity():
    a, b = Value(1.0), Value(1.0)
    assert {a: "a", b: "b"} == {a: "a", b: "b"}
    assert len({a, b, a}) == 2


def test_truth_is_that_of_one_number():
    assert Value(2.0)
    assert not Value(0.0)
    assert not Value([0.0])
    for many in ([1.0, 2.0], []):
        with pytest.raises(GradError, match="ambiguous"):
            bool(Value(many, "v"))


@pytest.mark.parametrize("convert", [float, int, complex, math.exp, math.sqrt, np.float64, range])
def test_turning_into_a_plain_number_is_refused(convert):
    with pytest.raises(TypeError):
        convert(Value(1.0))


def test_the_refusal_names_the_ways_out():
    with pytest.raises(TypeError, match=r"v\.item\(\).*tg\.exp"):
        math.exp(Value(1.0, "z"))


def test_a_value_never_becomes_an_array_by_itself():
    v, target = Value([1.0, 2.0]), np.zeros(2)
    for lose in (
        lambda: np.array(v),
        lambda: np.asarray(v),
        lambda: np.array([v, v]),
        lambda: np.array([Value(1.0), Value(2.0)]),
        lambda: target.__setitem__(slice(None), v),
        lambda: target.__setitem__(0, Value(1.0)),
        lambda: target.__iadd__(v),
        lambda: np.add(target, v, out=target),
    ):
        with pytest.raises((TypeError, ValueError)):
            lose()
    assert target.tolist() == [0.0, 0.0]


def test_writing_an_element_is_refused_with_the_way_out():
    v = Value([1.0, 2.0], "v")
    with pytest.raises(TypeError, match=r"v\[…\].*tg\.where"):
        v[0] = 5.0


def test_item_is_for_one_number():
    assert type(Value([[2.5]]).item()) is float
    assert type(Value(np.float32(2.5)).item()) is float
    with pytest.raises(GradError, match=r"W.*shape \(2,\)"):
        Value([1.0, 2.0], "W").item()


def test_length_iteration_and_membership():
    v = Value([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    assert len(v) == 3
    a, b, c = v
    (a * b * c).sum().backward()
    assert v.grad.tolist() == [[15.0, 24.0], [5.0, 12.0], [3.0, 8.0]]
    assert 4.0 in v
    assert 7.0 not in v
    for use in (len, iter):
        with pytest.raises(TypeError, match="single number"):
            use(Value(1.0))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_single_number_takes_the_indices_that_numpys_does(dtype):
    v = tg.Value(dtype(3.0))
    assert v[None].shape == (1,)
    assert v[None, ..., None].shape == (1, 1)
    assert type(v[()].data) is type(v[...].data) is type(v.data)
    (v[None] * v[...]).backward([1.0])
    assert v.grad == 6.0
    assert type(v.grad) is type(v.data)
    for index in (0, slice(None), (None, 0)):
        with pytest.raises(IndexError, match="an unnamed leaf"):
            v[index]


def test_text_shows_name_shape_and_numbers():
    assert repr(Value(3.0, "w")) == "Value(3.0, name='w')"
    assert repr(Value(np.float32(1.5))) == "Value(1.5)"
    text = repr(Value(np.ones((2, 3)), "W1"))
    for part in ("1.", "shape=(2, 3)", "name='W1'"):
        assert part in text
    assert f"{Value(3.14159):.2f}" == "3.14"
    assert f"{Value([3.14159, 1.0]):.2f}" == "[3.14 1.00]"
    assert f"{Value(3.0)}" == "3.0"


def test_operators_work_both_ways_round():
    x = Value(3.0)
    results = [2 - x, 2 / x, 2**x, x**2, x**-1, x**0.5, x - 2, x / 2, -x, +x, abs(x), 2 + x, 2 * x]
    results += [x // 2, 7 // x, x % 2, 7 % x, -x % 2]
    expected = [-1, 2 / 3, 8, 9, 1 / 3, 3**0.5, 1, 1.5, -3, 3, 3, 5, 6, 1, 2, 1, 1, 1]
    assert np.allclose([r.item() for r in results], expected)
    slopes = [-1, -2 / 9, 8 * math.log(2), 6, -1 / 9, 0.5 / 3**0.5, 1, 0.5, -1, 1, 1, 1, 2]
    slopes += [0, 0, 1, -2, -1]
    for z, slope in zip(results, slopes, strict=True):
        x.zero_grad()
        (z + 0.0 * x).backward()  # steps have no gradient of their own
        assert x.grad == pytest.approx(slope, rel=1e-14)


@pytest.mark.parametrize(
    "left",
    [np.array([1.0, 2.0, 3.0]), np.float64(2), np.float32(2), np.int64(2), [1.0, 2.0, 3.0],
     np.array(2.0), np.array([1, 2, 3]), True],
)  # fmt: skip
def test_arrays_and_numpy_numbers_on_the_left_make_one_value(left):
    x = Value([4.0, 5.0, 6.0])
    a = np.asarray(left, dtype=float)
    for z, dx in (
        (left + x, np.ones(3)), (left - x, -np.ones(3)), (left * x, a * np.ones(3)),
        (left / x, -a / x.data**2),
    ):  # fmt: skip
        assert type(z) is Value
        assert z.shape == (3,)
        x.zero_grad()
        z.sum().backward()
        assert np.allclose(x.grad, dx)


def test_an_array_on_the_left_of_a_matrix_product():
    A, x = rng().standard_normal((2, 3)), Value(rng().standard_normal((3, 4)))
    z = A @ x
    assert type(z) is Value
    z.sum().backward()
    assert np.allclose(x.grad, A.T @ np.ones((2, 4)))


def test_augmented_assignment_makes_a_new_node():
    x = Value(3.0)
    y = x
    y += 1
    y *= 2
    assert (x.item(), y.item()) == (3.0, 8.0)
    y.backward()
    assert x.grad == 2.0


def test_what_an_operator_cannot_take_is_a_type_error():
    v = Value([1.0, 2.0])
    for other in ("a", None, {}, 1j, object()):
        with pytest.raises(TypeError):
            v + other
        with pytest.raises(TypeError):
            other * v
        with pytest.raises(TypeError):
            v**other


# --- numbers and their protection --------------------------------------------------------------


@pytest.mark.parametrize(
    "write",
    [
        lambda a: a.__setitem__(0, 9.0),
        lambda a: a.__setitem__(Ellipsis, 9.0),
        lambda a: a.fill(9.0),
        lambda a: a.sort(),
        lambda a: a.put([0], [9.0]),
        lambda a: np.add(a, 1.0, out=a),
        lambda a: np.add.at(a, 0, 1.0),
        lambda a: np.copyto(a, 9.0),
        lambda a: np.put(a, [0], [9.0]),
        lambda a: np.clip(a, 0, 1, out=a),
        lambda a: a[1:].__setitem__(0, 9.0),
    ],
)
def test_writing_into_the_numbers_raises_and_names_the_node(write):
    W = Value([1.0, 2.0, 3.0], "W1")
    z = (W * W).sum()
    with pytest.raises(GradError, match="W1"):
        write(W.data)
    z.backward()
    assert W.grad.tolist() == [2.0, 4.0, 6.0]


@pytest.mark.parametrize(
    "write",
    [
        lambda a: np.asarray(a).__setitem__(0, 9.0),
        lambda a: a.ravel().__setitem__(0, 9.0),
        lambda a: a.T.__setitem__(0, 9.0),
        lambda a: a.reshape(3, 1).__setitem__((0, 0), 9.0),
        lambda a: a.view(np.ndarray).__setitem__(0, 9.0),
        lambda a: a.flat.__setitem__(0, 9.0),
        lambda a: setattr(a.flags, "writeable", True),
        lambda a: a.setflags(write=True),
        lambda a: rng().shuffle(a),
        lambda a: rng().standard_normal(3, out=a),
        lambda a: memoryview(a).__setitem__(0, 9.0),
        lambda a: a.byteswap(inplace=True),
        lambda a: a.partition(1),
        lambda a: np.frombuffer(a.data).__setitem__(0, 9.0),
    ],
)
def test_no_detour_writes_either(write):
    W = Value([1.0, 2.0, 3.0], "W1")
    z = (W * W).sum()
    with pytest.raises((ValueError, TypeError)):
        write(W.data)
    z.backward()
    assert W.grad.tolist() == [2.0, 4.0, 6.0]


def test_an_update_gives_new_numbers_and_recorded_graphs_keep_theirs():
    for start, step in ((3.0, 1.0), (np.array([1.0, 2.0]), np.array([10.0, 20.0]))):
        p = Value(start, "p")
        z = (p * p).sum() if p.ndim else p * p
        before = p.data
        p.data -= step
        assert np.array_equal(p.data, np.subtract(start, step))
        assert np.array_equal(before, start)
        z.backward()
        assert np.array_equal(p.grad, 2 * np.asarray(start))


@pytest.mark.parametrize("symbol", ["+=", "-=", "*=", "/=", "//=", "%=", "**=", "@="])
def test_every_augmented_assignment_to_data(symbol):
    p = Value(np.array([[1.0, 2.0], [3.0, 5.0]]))
    z = (p * p).sum()
    other = np.array([[2.0, 1.0], [1.0, 3.0]])
    expected = p.data.copy()
    names = {"p": p, "other": other, "expected": expected}
    exec(f"p.data {symbol} other; expected = expected {symbol[:-1]} other", names)
    expected = names["expected"]
    assert np.allclose(p.data, expected)
    z.backward()
    assert p.grad.tolist() == [[2.0, 4.0], [6.0, 10.0]]


def test_new_numbers_keep_shape_and_dtype():
    p = Value(np.ones((2, 3), dtype=np.float32), "W")
    p.data = np.zeros((2, 3))
    assert p.dtype == np.float32
    for wrong in (np.zeros(3), np.zeros((3, 2)), 0.0):
        with pytest.raises(GradError, match=r"W has shape \(2, 3\)"):
            p.data = wrong
    with pytest.raises(TypeError):
        p.data = "abc"
    data = Value(np.ones((2, 3)), requires_grad=False)
    data.data = np.zeros((2, 5))  # a batch may have another size
    assert data.shape == (2, 5)


def test_new_numbers_are_copied_too():
    p, new = Value(np.zeros(3)), np.ones(3)
    p.data = new
    z = (p * p).sum()
    new[:] = 100.0
    z.backward()
    assert p.grad.tolist() == [2.0, 2.0, 2.0]


def test_a_computed_node_takes_no_new_numbers():
    z = Value(1.0, "x") + 1.0
    z.name = "z"
    with pytest.raises(GradError, match="z was computed by add"):
        z.data = 5.0


def test_arithmetic_on_the_numbers_gives_plain_arrays():
    a = Value(np.ones((2, 3))).data
    for plain in (a + 1, a * a, a @ a.T, np.exp(a), np.sum(a, axis=0), a.copy(), a.astype(int), -a):
        assert type(plain) is np.ndarray
        assert plain.flags.writeable
    assert pickle.loads(pickle.dumps(a)).flags.writeable
    assert copy.deepcopy(a).flags.writeable


# --- derivatives -------------------------------------------------------------------------------


def test_a_gradient_is_on_every_node_and_none_before():
    x, y = Value(2.0), Value(3.0, requires_grad=False)
    z = x * y
    cost = z + x
    assert [v.grad for v in (x, y, z, cost)] == [None] * 4
    cost.backward()
    assert [v.grad for v in (x, y, z, cost)] == [4.0, None, 1.0, 1.0]


def test_leaves_accumulate_and_intermediates_show_the_last_sweep():
    x = Value(2.0)
    z = x * x
    cost = z * 3.0
    for times in (1, 2, 3):
        cost.backward()
        assert (x.grad, z.grad, cost.grad) == (12.0 * times, 3.0, 1.0)
    x.zero_grad()
    assert x.grad is None


def test_two_graphs_on_one_leaf_add_up():
    x = Value([1.0, 2.0])
    (x * 2).sum().backward()
    (x * 3).sum().backward()
    assert x.grad.tolist() == [5.0, 5.0]


def test_backward_on_a_leaf_gives_its_seed():
    x, y = Value(3.0), Value([1.0, 2.0])
    x.backward()
    y.backward([5.0, 6.0])
    assert x.grad == 1.0
    assert y.grad.tolist() == [5.0, 6.0]


def test_keeping_the_leaves_only():
    x = Value(2.0)
    z = x * x
    cost = z * 3.0
    cost.backward(keep="leaves")
    assert (x.grad, z.grad, cost.grad) == (12.0, None, 1.0)
    with pytest.raises(GradError, match="keep"):
        cost.backward(keep="nothing")


@pytest.mark.parametrize("seed", [np.ones(2), np.ones((1, 3)), 1.0, np.ones((3, 1)), []])
def test_a_seed_of_the_wrong_shape_is_refused(seed):
    z = Value(np.ones(3), "x") * 2
    with pytest.raises(GradError, match=r"seed.*shape"):
        z.backward(seed)


def test_a_single_number_refuses_a_seed_of_another_shape():
    with pytest.raises(GradError, match="seed"):
        (Value(1.0) * 2).backward(np.ones(1))


@pytest.mark.parametrize("seed", ["a", None, {}, 1j])
def test_a_seed_that_is_no_number_is_refused(seed):
    with pytest.raises((TypeError, GradError)):
        (Value([1.0, 2.0]) * 2).backward(seed)


def test_a_seed_is_not_changed_nor_kept():
    x, seed = Value(np.ones(3)), np.array([1.0, 2.0, 3.0])
    z = +x
    z.backward(seed)
    seed[:] = 0.0
    assert x.grad.tolist() == [1.0, 2.0, 3.0]
    z.grad[:] = 7.0
    assert seed.tolist() == [0.0, 0.0, 0.0]


def test_a_nan_seed_gives_nan_and_not_silence():
    x = Value([1.0, 2.0])
    (x * 3).backward([np.nan, 1.0])
    assert np.isnan(x.grad[0])
    assert x.grad[1] == 3.0


def test_an_array_without_a_seed_is_refused():
    with pytest.raises(GradError, match=r"tg\.mean, tg\.sum.*seed="):
        (Value([1.0, 2.0]) * 2).backward()


def test_nothing_to_differentiate_is_an_error():
    c = Value(2.0, requires_grad=False)
    for node in (c, c * 2, Value(1.0).detach() + 1):
        with pytest.raises(GradError, match="nothing that needs a gradient"):
            node.backward()


def test_constants_get_no_gradient_and_cost_nothing(monkeypatch):
    """The rule of an input that needs no gradient never runs: no dX in the first layer."""
    matmul = tg.matmul
    ran = []
    rules = tuple(
        lambda *a, _i=i, _r=r: ran.append(_i) or _r(*a) for i, r in enumerate(matmul.rules)
    )
    monkeypatch.setattr(matmul, "rules", rules)
    W, X = Value(np.ones((2, 3))), np.ones((3, 4))
    (W @ X).sum().backward()
    assert ran == [0]


def test_detach_stops_the_gradient():
    x = Value(3.0, "x")
    (x.detach() * 2 + x * x).backward()
    assert x.grad == 6.0
    assert x.detach().op is None
    assert not x.detach().requires_grad


def test_what_a_leaf_does_not_reach_has_no_gradient():
    x, w = Value(2.0), Value(3.0)
    (x * x).backward()
    assert w.grad is None


@pytest.mark.parametrize("shape", [(), (1,), (1, 1), (3, 1), (2, 3), (0, 2)])
def test_a_gradient_has_the_shape_of_its_numbers(shape):
    v = Value(np.ones(shape))
    cost = (v * 2.0 + np.ones((4, *([1] * len(shape))))).sum()
    cost.backward()
    assert np.shape(v.grad) == shape
    assert np.all(np.equal(v.grad, 8.0))


def test_a_gradient_may_be_set_if_it_fits():
    w = Value([1.0, 2.0], "w")
    given = np.array([3.0, 4.0])
    w.grad = given
    given[:] = 0.0
    assert w.grad.tolist() == [3.0, 4.0]
    w.grad = None
    assert w.grad is None
    for wrong in (1.0, [1.0], "abc", np.ones((2, 1))):
        with pytest.raises((GradError, TypeError)):
            w.grad = wrong
    assert w.grad is None


def test_float32_gradients_of_a_float32_leaf_whatever_it_meets():
    w = Value(np.ones(3, dtype=np.float32))
    for other in (np.ones(3), Value(np.ones(3)), 2.0, Value(2.0), 2, np.float64(2)):
        w.zero_grad()
        (w * other).sum().backward()
        assert w.grad.dtype == np.float32
        (w * other).sum().backward()
        assert w.grad.dtype == np.float32


# --- not recording -----------------------------------------------------------------------------


def test_no_grad_as_context_and_as_decorator():
    w = Value(2.0)

    @tg.no_grad()
    def predict(x):
        return w * x

    with tg.no_grad():
        inside = w * 3
    for node in (inside, predict(3.0)):
        assert not node.requires_grad
        assert node.op is None
        assert node.parents == ()
        assert node.item() == 6.0
    assert (w * 3).requires_grad


def test_no_grad_ends_with_an_exception():
    with pytest.raises(KeyError), tg.no_grad():
        raise KeyError
    assert (Value(1.0) * 2).requires_grad


def test_no_grad_nests_and_one_object_may_be_used_again():
    off, w = tg.no_grad(), Value(1.0)
    with off:
        with off:
            assert not (w * 2).requires_grad
        assert not (w * 2).requires_grad
    assert (w * 2).requires_grad
    with off:
        assert not (w * 2).requires_grad
    assert (w * 2).requires_grad


def test_a_generator_function_cannot_be_decorated():
    with pytest.raises(TypeError, match="generator"):

        @tg.no_grad()
        def numbers():
            yield 1


def test_backward_of_what_was_not_recorded_says_so():
    w = Value(1.0)
    with tg.no_grad():
        z = w * 2
        with pytest.raises(GradError, match="no_grad"):
            z.backward()


# --- names -------------------------------------------------------------------------------------


def test_names_come_from_variables():
    W1, b1, m = Value(1.0), Value(2.0), 5
    Z1 = W1 + b1
    tg.name_values(**{k: v for k, v in locals().items() if k in ("W1", "b1", "m", "Z1")})
    assert (W1.name, b1.name, Z1.name, m) == ("W1", "b1", "Z1", 5)


def test_errors_name_operation_operands_and_shapes():
    W, b = Value(np.ones((4, 3)), "W1"), Value(np.ones((2, 1)), "b1")
    with pytest.raises(GradError, match=r"add: W1 \(4, 3\) and b1 \(2, 1\)"):
        W + b
    with pytest.raises(GradError, match=r"matmul: W1 \(4, 3\) and b1 \(2, 1\).*transpose"):
        W @ b
    with pytest.raises(GradError, match=r"matmul: W1 \(4, 3\).*use \*"):
        W @ 2.0
    with pytest.raises(GradError, match=r"reshape: W1 \(4, 3\)"):
        W.reshape(5, 2)
    with pytest.raises(IndexError, match="W1"):
        W[7]
    with pytest.raises(GradError, match="W1"):
        W.sum(axis=3)


def test_a_value_cannot_be_an_option():
    v = Value([1.0, 2.0])
    for call in (
        lambda: tg.clip(v, [Value(0.0), 1.0], 1.0),
        lambda: tg.leaky_relu(v, slope=Value(0.1)),
        lambda: v.sum(axis=Value(0.0)),
        lambda: v[Value(0.0)],
    ):
        with pytest.raises(TypeError):
            call()


def test_options_are_kept_whatever_is_done_to_them_later():
    x = Value(rng().standard_normal((3, 3, 3)))
    axes, low, index = [1, 2, 0], np.full(3, -0.5), np.array([0, 0, 2])
    z = tg.transpose(x, axes), tg.clip(x, low, None), x[index]
    expected = [x.data.transpose(1, 2, 0), np.clip(x.data, -0.5, None), x.data[[0, 0, 2]]]
    seed = rng().standard_normal((3, 3, 3))
    axes[:], low[:], index[:] = [0, 1, 2], 9.0, 1
    grads = []
    for node, numbers in zip(z, expected):
        assert np.array_equal(node.data, numbers)
        x.zero_grad()
        node.backward(seed)
        grads.append(x.grad)
    assert np.array_equal(grads[0], seed.transpose(2, 0, 1))
    assert np.array_equal(grads[1], seed * (x.data >= -0.5))
    assert np.array_equal(grads[2], np.stack([seed[0] + seed[1], np.zeros((3, 3)), seed[2]]))


# --- life --------------------------------------------------------------------------------------


def test_leaves_survive_pickle_and_copies_with_name_gradient_and_kind():
    w = Value(np.array([[1.0, 2.0]], dtype=np.float32), "w")
    (w * w).sum().backward()
    for again in (pickle.loads(pickle.dumps(w)), copy.deepcopy(w), copy.copy(w)):
        assert again is not w
        assert np.array_equal(again.data, w.data)
        assert again.dtype == np.float32
        assert np.array_equal(again.grad, w.grad)
        assert again.name == "w"
        (again * 2).sum().backward()
        assert w.grad.tolist() == [[2.0, 4.0]]
        with pytest.raises(GradError):
            again.data[0] = 5.0
    constant = pickle.loads(pickle.dumps(Value(2.0, requires_grad=False)))
    assert not constant.requires_grad


def test_shared_leaves_stay_shared_in_a_copy():
    w = Value(1.0)
    a, b = copy.deepcopy([w, w])
    assert a is b


def test_a_computed_node_is_not_pickled():
    z = Value(2.0, "x") * 3
    for lose in (pickle.dumps, copy.deepcopy, copy.copy):
        with pytest.raises(GradError, match=r"detach"):
            lose(z)
    assert pickle.loads(pickle.dumps(z.detach())).item() == 6.0


def test_operations_are_pickled_by_reference():
    for op in (tg.add, tg.matmul, tg.sum, tg.reshape, tg.softmax):
        assert pickle.loads(pickle.dumps(op)) is op


@pytest.mark.slow
def test_releasing_the_cost_releases_the_graph_without_the_collector():
    gc.collect()
    gc.disable()
    try:
        w = Value(np.ones((3, 2)), "w")
        z = tg.tanh(w @ np.ones((2, 4)))
        cost = tg.mean(tg.concatenate([z, z[0:1]]) ** 2)
        cost.backward()
        held = [weakref.ref(node) for node in (z, cost)]
        del z, cost
        assert [ref() for ref in held] == [None, None]
    finally:
        gc.enable()


@pytest.mark.slow
def test_training_steps_leave_nothing_behind():
    w = Value(np.ones((3, 2)))
    X = np.ones((2, 4))

    def step():
        w.zero_grad()
        tg.mean(tg.sigmoid(w @ X) ** 2).backward()
        w.data -= 0.1 * w.grad

    gc.collect()
    gc.disable()
    try:
        step()
        before = len(gc.get_objects())
        for _ in range(200):
            step()
        assert len(gc.get_objects()) <= before + 5
    finally:
        gc.enable()


@pytest.mark.slow
def test_a_million_operations_are_built_swept_and_released():
    x, w = Value(1.0), Value(1.0 - 1e-7)
    gc.disable()
    try:
        z = x
        for _ in range(500_000):
            z = z * w + 0.0
        z.backward(keep="leaves")
        expected = w.item() ** 500_000
        assert x.grad == pytest.approx(expected, rel=1e-9)
        assert w.grad == pytest.approx(500_000 * expected / w.item(), rel=1e-9)
        last = weakref.ref(z)
        del z
        assert last() is None
    finally:
        gc.enable()
