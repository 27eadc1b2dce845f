"""What is handed to the engine: flags, options, keywords, habits; each kind with its neighbours."""

from __future__ import annotations

import array
import collections
import contextlib
import copy
import pickle
import re
import subprocess
import sys
import threading

import numpy as np
import pytest
from oracles import five_point, same

import tinygrad_edu as tg
from tinygrad_edu import GradError, Value, nn


def rng():
    return np.random.default_rng(11)


# --- requires_grad is settled when a node is recorded ------------------------------------------


def net_of_three():
    """W and b need a gradient, X does not; each is used in one-input and two-input operations."""
    W = Value(rng().standard_normal((2, 3)), "W")
    b = Value(rng().standard_normal((2, 1)), "b")
    X = Value(rng().standard_normal((3, 5)), "X", requires_grad=False)
    Z = tg.tanh(W @ X + b)
    J = tg.mean(Z * Z) + tg.sum(tg.exp(W)[0]) + tg.sum(tg.sin(b)) + tg.sum(tg.cos(X) * X)
    tg.name_values(Z=Z, J=J)
    return {"W": W, "b": b, "X": X}, J


@pytest.mark.parametrize("changed", [["W"], ["b"], ["X"], ["W", "X"], ["W", "b", "X"]])
def test_a_flag_changed_after_recording_counts_in_the_next_graph(changed):
    kept, cost = net_of_three()
    cost.backward()
    leaves, J = net_of_three()
    for name in changed:
        leaves[name].requires_grad = not leaves[name].requires_grad
    J.backward()
    for name, leaf in leaves.items():
        assert (leaf.grad is None) == (kept[name].grad is None)
        assert leaf.grad is None or np.array_equal(leaf.grad, kept[name].grad)
        leaf.zero_grad()
    again = tg.sum(leaves["W"] @ leaves["X"]) * tg.sum(tg.exp(leaves["b"]))
    if again.requires_grad:
        again.backward()
    for name, leaf in leaves.items():
        assert (leaf.grad is not None) == leaf.requires_grad == ((name in changed) == (name == "X"))


@pytest.mark.parametrize("changed", ["W", "b", "X"])
@pytest.mark.one_in(3)
def test_all_readers_of_a_graph_take_the_flags_it_was_recorded_with(changed, tmp_path):
    _, cost = net_of_three()
    leaves, J = net_of_three()
    leaves[changed].requires_grad = not leaves[changed].requires_grad
    assert str(tg.derive(J)) == str(tg.derive(cost))
    assert sorted(tg.compile(J)()[1]) == sorted(tg.compile(cost)()[1]) == ["W", "b"]
    for kept in (J, cost):
        kept.backward()
    assert tg.draw(J).source.count("grad") == tg.draw(cost).source.count("grad")
    assert tg.draw(J, detail="parts").source.count("grad") == (
        tg.draw(cost, detail="parts").source.count("grad")
    )
    tg.render(J, tmp_path / "graph.html")
    claims = {"dW": "np.ones((2, 3))"}
    assert tg.compare(J, claims).rows[0].verdict == tg.compare(cost, claims).rows[0].verdict


def test_a_leaf_frozen_halfway_gets_what_flows_through_the_first_half():
    x = Value(3.0, "x")
    first = x * x
    x.requires_grad = False
    (first + x * 5.0 + tg.exp(x)).backward()
    assert x.grad == 6.0


def test_the_flag_of_a_computed_node_cannot_be_set():
    z = Value(2.0, "w") * 3.0
    for on in (True, False):
        with pytest.raises(GradError, match=r"computed by multiply.*detach"):
            z.requires_grad = on
    z.name = "z"
    with pytest.raises(GradError, match="z was computed"):
        z.requires_grad = False


def cubes(x):
    return tg.sum(tg.tanh(x) * x * x)


@pytest.mark.parametrize("function", [cubes, lambda x: tg.sum(tg.exp(x)), lambda x: x @ x])
@pytest.mark.parametrize("needs", [True, False])
def test_a_derivative_at_a_constant_inside_forward_code(function, needs):
    numbers = np.array([0.3, -0.2, 0.1])
    w = Value([1.0, 2.0, 3.0], "w")
    x = Value(numbers, "x", requires_grad=needs)
    J = tg.sum(w * tg.grad(function)(x))
    J.backward()
    same(w.grad, tg.grad(function)(numbers), 1e-12, "dw")
    if needs:
        same(x.grad, tg.hessian(function)(numbers) @ w.data, 1e-12, "dx")
    else:
        assert x.grad is None
    moved = tg.compile(J)(x=2 * numbers)
    same(moved[1]["w"], tg.grad(function)(2 * numbers), 1e-12, "compiled")
    assert tg.compare(J, {"dw": w.grad}).ok
    assert "x" in tg.draw(J).source
    assert "dw" in str(tg.derive(J))


def test_derivatives_at_constants_nest_and_have_their_jacobians():
    x = Value([0.5, -0.4], "x", requires_grad=False)
    w = Value([2.0, 3.0], "w")
    tg.sum(tg.jacobian(lambda v: v**3)(x) @ w).backward()
    same(w.grad, 3 * x.data**2, 1e-14, "dw")
    w.zero_grad()
    tg.sum(w * tg.grad(lambda v: tg.sum(tg.grad(lambda u: tg.sum(u**4))(v)))(x)).backward()
    same(w.grad, 12 * x.data**2, 1e-14, "dw")
    value, back = tg.vjp(lambda v: v * v, x)
    tg.sum(w * back(w)[0] + value).backward()
    assert x.grad is None


# --- options are plain numbers and arrays of one's own -----------------------------------------


class Whole:
    """Something with an ``__index__`` that changes."""

    def __init__(self, n):
        self.n = n

    def __index__(self):
        return self.n


def changed_buffer(make):
    """An index over memory of somebody, and what changes that memory."""
    memory = np.array([0, 2])
    held = make(memory)

    def change():
        if isinstance(held, (array.array, bytearray, list, collections.deque)):
            held[0] = 1
        else:
            memory[0] = 1

    return held, change


def read_only(memory):
    view = memory[:]
    view.flags.writeable = False
    return view


@pytest.mark.parametrize(
    "make",
    [
        np.asarray, list, collections.deque, memoryview, read_only,
        lambda a: array.array("i", a.tolist()), lambda a: bytearray(a.tolist()),
    ],
    ids=["array", "list", "deque", "memoryview", "read-only view", "array.array", "bytearray"],
)  # fmt: skip
@pytest.mark.parametrize("nested", [False, True])
def test_an_index_is_kept_whatever_holds_it(make, nested):
    x = Value(rng().standard_normal((3, 4)))
    held, change = changed_buffer(make)
    z = x[(held, slice(1, None))] if nested else x[held]
    seed = rng().standard_normal(z.shape)
    change()
    z.backward(seed)
    expected = np.zeros((3, 4))
    expected[[0, 2], 1 if nested else 0 :] = seed
    assert np.array_equal(x.grad, expected)


@pytest.mark.parametrize("place", ["start", "stop", "step", "alone", "in a tuple"])
@pytest.mark.parametrize("make", [np.array, Whole, np.int64, np.uint8])
def test_numbers_in_an_index_are_pythons_own(place, make):
    x, n = Value(rng().standard_normal((4, 4))), make(2)
    index = {
        "start": slice(n, None), "stop": slice(None, n), "step": slice(None, None, n), "alone": n,
        "in a tuple": (slice(n, None), n),
    }[place]  # fmt: skip
    z = x[index]
    if make is np.array:
        n += 1
    if make is Whole:
        n.n = 3
    z.backward(np.ones(z.shape))
    plain = {
        "start": slice(2, None), "stop": slice(None, 2), "step": slice(None, None, 2), "alone": 2,
        "in a tuple": (slice(2, None), 2),
    }[place]  # fmt: skip
    expected = np.zeros((4, 4))
    expected[plain] = 1.0
    assert np.array_equal(x.grad, expected)
    assert repr(z.options["index"]) == repr(plain)


def test_sizes_out_of_a_file_of_arrays_can_be_compiled_and_derived():
    n = np.array(2)
    v = Value([1.0, 2.0, 3.0], "v")
    for index in (slice(None, n), slice(np.int64(0), n, np.array(1)), (slice(n),)):
        J = tg.sum(v[index] ** 2)
        assert tg.compile(J)(v=[3.0, 4.0, 5.0])[0] == 25.0
        assert "dv" in str(tg.derive(J))


def test_axes_shapes_and_limits_are_kept_whatever_they_are_nested_in():
    x = Value(rng().standard_normal((2, 3)))
    axis, low, size = np.array(0), np.array(-0.5), np.array(3)
    lows = np.full(3, -0.5)
    view = read_only(lows)
    nodes = [
        tg.sum(x, axis=(axis,)), tg.mean(x, axis=axis), tg.max(x, axis=[axis]),
        tg.clip(x, (low, low, low), None), tg.clip(x, view, 9.0), np.clip(x, [low, -0.5, low], 9),
        tg.clip(x, memoryview(lows), None), tg.reshape(x, (size, -1)),
        tg.transpose(x, (1, axis)), tg.leaky_relu(x, slope=low),
    ]  # fmt: skip
    seeds = [rng().standard_normal(z.shape) for z in nodes]
    expected = []
    for z, seed in zip(nodes, seeds):
        x.zero_grad()
        z.backward(seed)
        expected.append(x.grad)
    axis += 1
    low += 9.0
    size -= 2
    lows[:] = 9.0
    for z, seed, g in zip(nodes, seeds, expected):
        x.zero_grad()
        z.backward(seed)
        assert np.array_equal(x.grad, g), z


def test_a_read_only_array_of_somebody_else_is_copied():
    lows = np.full(3, -0.5)
    lows.flags.writeable = False
    x = Value([[-1.0, 0.0, 1.0]])
    z = tg.clip(x, lows, None)
    lows.flags.writeable = True
    lows[:] = 9.0
    z.backward([[1.0, 2.0, 3.0]])
    assert x.grad.tolist() == [[0.0, 2.0, 3.0]]


def test_a_limit_of_another_type_does_not_widen_float32():
    x = Value(np.ones((2, 3), np.float32))
    for low in (np.float64(0.5), np.array(0.5), 0.5, np.float16(0.5)):
        assert tg.clip(x, low, None).dtype == np.float32


@pytest.mark.parametrize(
    "call, said",
    [
        (lambda v: tg.sum(v, axis=1.0), r"sum: axis= takes a whole number.*1\.0"),
        (lambda v: v.mean(axis="rows"), r"mean: axis=.*'rows'"),
        (lambda v: tg.max(v, axis=(0, 0.5)), r"max: axis="),
        (lambda v: tg.sum(v, axis=True), r"sum: axis=.*True"),
        (lambda v: v.reshape(2.0, 1), r"reshape: shape="),
        (lambda v: tg.transpose(v, (1.0, 0)), r"transpose: axes="),
        (lambda v: v[0:1.0], r"whole numbers.*1\.0"),
        (lambda v: v[v], r"Value of shape \(2, 1\).*mask"),
        (lambda v: v[[v, v]], r"Value of shape.*mask"),
        (lambda v: tg.clip(v, "a", 1), r"clip: min="),
        (lambda v: tg.clip(v, 0, {}), r"clip: max="),
        (lambda v: tg.relu(v, at_zero="half"), r"relu: at_zero="),
        (lambda v: tg.leaky_relu(v, slope=[0.1]), r"leaky_relu: slope="),
    ],
)
def test_what_cannot_be_an_option_is_said_with_operation_and_name(call, said):
    with pytest.raises(TypeError, match=said):
        call(Value([[1.0], [2.0]], "v"))


# --- keywords of NumPy's functions -------------------------------------------------------------

FOREIGN = {
    "where": [True, False], "out": np.zeros(2), "dtype": np.float32, "casting": "unsafe",
    "order": "F", "initial": 1.0, "correction": 1, "mean": 0.0, "copy": True, "subok": 1,
    "signature": "dd->d", "mode": "clip",
}  # fmt: skip
TAKING = [
    (lambda v, **k: np.clip(v, 0, 1, **k), "np.clip", ["where", "out", "dtype", "casting"]),
    (np.sum, "np.sum", ["out", "dtype"]),
    (np.max, "np.max", ["out"]),
    (np.var, "np.var", ["out", "dtype", "mean"]),
    (np.cumsum, "np.cumsum", ["out", "dtype"]),
    (lambda v, **k: np.add(v, 1.0, **k), "np.add", ["where", "out", "dtype", "casting", "order",
                                                    "signature"]),
    (np.exp, "np.exp", ["where", "out", "dtype", "casting", "order"]),
    (np.add.reduce, "np.add", ["out", "dtype"]),
    (lambda v, **k: np.concatenate([v, v], **k), "np.concatenate", ["out", "dtype", "casting"]),
    (lambda v, **k: np.stack([v, v], **k), "np.stack", ["out", "dtype", "casting"]),
    (lambda v, **k: np.dot(v, v, **k), "np.dot", ["out"]),
    (lambda v, **k: np.outer(v, v, **k), "np.outer", ["out"]),
    (lambda v, **k: np.reshape(v, (2, 1), **k), "np.reshape", ["order"]),
    (np.ravel, "np.ravel", ["order"]),
]  # fmt: skip


@pytest.mark.parametrize(
    "function, name, keyword",
    [(f, name, keyword) for f, name, keywords in TAKING for keyword in keywords],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_a_keyword_that_is_not_honoured_is_refused_by_name(function, name, keyword):
    v = Value([0.5, 2.0], "v")
    with pytest.raises(TypeError, match=rf"{re.escape(name)}.*{keyword}="):
        function(v, **{keyword: FOREIGN[keyword]})


@pytest.mark.parametrize(
    "call",
    [
        lambda v: np.clip(v, 0, 1, out=None),
        lambda v: np.sum(v, out=None, dtype=None, where=True),
        lambda v: np.sum(v, 0, None, None),
        lambda v: np.mean(v, None, None),
        lambda v: np.cumsum(v, 0, None),
        lambda v: np.add(v, 1.0, where=True, casting="same_kind", order="K", subok=True),
        lambda v: np.concatenate([v, v], casting="same_kind"),
        lambda v: np.stack([v, v], out=None),
        lambda v: np.outer(v, v, None),
        lambda v: np.ravel(v, order="C"),
        lambda v: np.sum(a=v),
        lambda v: np.max(a=v, axis=0),
    ],
)
def test_a_keyword_that_says_nothing_is_let_pass(call):
    v = Value([0.5, 2.0])
    z = call(v)
    same(z.data, call(v.data), 0, "value")
    assert z.requires_grad


def test_a_limit_of_clip_is_given_once():
    v = Value([0.5, 2.0])
    with pytest.raises(TypeError, match=r"np\.clip.*a_min.*min"):
        np.clip(v, 0, 1, min=0.5)
    with pytest.raises(TypeError, match="keepdims= by its name"):
        np.sum(v, 0, None, None, True)


# --- augmented assignment ----------------------------------------------------------------------

AUGMENTED = ["+=", "-=", "*=", "/=", "@=", "**=", "%=", "//="]


def augmented(target, symbol, other):
    names = {"target": target, "other": other}
    exec(f"target {symbol} other", names)
    return names["target"]


@pytest.mark.parametrize("symbol", AUGMENTED)
@pytest.mark.parametrize("recorded", [True, False])
def test_an_update_of_a_leaf_by_augmented_assignment_is_an_error(symbol, recorded):
    W = Value(np.eye(2) + 1.0, "W")
    tg.sum(W * W).backward()
    with contextlib.nullcontext() if recorded else tg.no_grad():
        for step in (0.5 * W.grad, np.eye(2)):
            with pytest.raises(
                GradError, match=rf"W {re.escape(symbol)}.*W\.data {re.escape(symbol)}"
            ):
                augmented(W, symbol, step)


@pytest.mark.parametrize("step", [0.1, 1, np.float64(0.1), Value(0.1, requires_grad=False)])
def test_so_it_is_of_a_single_number(step):
    w = Value(2.0, "w")
    with tg.no_grad(), pytest.raises(GradError, match=r"w\.data -="):
        w -= step
    (w * w).backward()
    with pytest.raises(GradError, match=r"w\.data -="):
        w -= step


@pytest.mark.parametrize("symbol", AUGMENTED)
def test_intermediates_constants_and_sums_go_on_working(symbol):
    x = Value(np.full((2, 2), 1.5), "x")
    for start in (x * 1.0, Value(np.full((2, 2), 1.5), requires_grad=False)):
        z = augmented(start, symbol, np.eye(2) + 1.0)
        assert type(z) is Value
        assert z.requires_grad == (
            start.requires_grad and symbol != "//="
        )  # of steps there is none
        with tg.no_grad():
            assert not augmented(start, symbol, np.eye(2) + 1.0).requires_grad
    total = Value(0.0)
    for _ in range(3):
        total += tg.sum(x * x)
    c = x + 1.0
    c += c + 1.0
    (total + tg.sum(c)).backward()
    assert np.array_equal(x.grad, np.full((2, 2), 3 * 3.0 + 2.0))


# --- numbers changed behind NumPy's flag -------------------------------------------------------


def unlocked(v):
    data = v._data
    data.setflags(write=True)
    data.flat[-1] += 7.0
    data.setflags(write=False)


@pytest.mark.parametrize("which", ["leaf", "intermediate", "constant"])
@pytest.mark.parametrize("operation", [tg.exp, tg.sum, lambda v: v * v, lambda v: v[1:]])
def test_numbers_written_into_past_numpys_flag_are_told_while_debugging(which, operation):
    p = Value([1.0, 2.0, 3.0], "p")
    c = Value([4.0, 5.0, 6.0], "c", requires_grad=False)
    with tg.debug_nans():
        q = p * c
        q.name = "q"
        J = tg.sum(operation(q))
        J.backward()
        unlocked({"leaf": p, "intermediate": q, "constant": c}[which])
        p.zero_grad()
        name = {"leaf": "p", "intermediate": "q", "constant": "c"}[which]
        with pytest.raises(GradError, match=rf"numbers of {name} \(3,\).*written into"):
            J.backward()
        assert p.grad is None


# --- debug_nans is asked, for one thread and task ----------------------------------------------


def test_while_one_thread_debugs_another_computes_as_ever():
    inside, done, found = threading.Event(), threading.Event(), []

    def elsewhere():
        inside.wait()
        x = Value([1.0, 0.0], "x")
        with np.errstate(all="ignore"):
            z = tg.log(x) * 2.0 + x
            z.backward([1.0, 1.0])
        found.append((z.data.tolist(), x.grad.tolist()))
        done.set()

    thread = threading.Thread(target=elsewhere)
    thread.start()
    with tg.debug_nans():
        inside.set()
        done.wait()
        with pytest.raises(GradError, match="log"):
            tg.log(Value(0.0))
    thread.join()
    assert found == [([1.0, -np.inf], [3.0, np.inf])]


def test_operators_are_the_same_objects_while_somebody_debugs():
    before = dict(vars(Value))
    with tg.debug_nans():
        assert dict(vars(Value)) == before
        assert type(Value(2.0) * 3.0 + 1.0) is Value


# --- words for what was meant ------------------------------------------------------------------


@pytest.mark.parametrize(
    "call, error, said",
    [
        (lambda v, M: tg.stack([v, M]), GradError, r"stack: v \(3,\) and M \(2, 2\)"),
        (lambda v, M: tg.stack([v, Value(1.0, "s")]), GradError, r"stack: v \(3,\) and s \(\)"),
        (lambda v, M: tg.concatenate([v, M]), GradError, r"concatenate: v \(3,\) and M"),
        (lambda v, M: np.vstack([v, M]), GradError, r"vstack: v \(3,\) and M"),
        (lambda v, M: tg.hstack([M, np.eye(3)]), GradError, r"hstack: M .* number 1 \(3, 3\)"),
        (lambda v, M: v * "a", TypeError, r"multiply: v \(3,\) and 'a'"),
        (lambda v, M: "a" * v, TypeError, r"multiply: v \(3,\) and 'a'"),
        (lambda v, M: v + None, TypeError, r"add: v \(3,\) and None"),
        (lambda v, M: {} / v, TypeError, r"divide: v \(3,\)"),
        (lambda v, M: v**"2", TypeError, r"power: v \(3,\) and '2'"),
        (lambda v, M: M @ b"x", TypeError, r"matmul: M \(2, 2\)"),
        (lambda v, M: v - 1j, TypeError, r"subtract: v \(3,\) and 1j"),
        (lambda v, M: Value(1.0, requires_grad="no"), TypeError, "requires_grad is True or False"),
        (lambda v, M: setattr(v, "requires_grad", None), TypeError, "requires_grad is True or"),
        (lambda v, M: setattr(v, "name", 5), TypeError, "a name is a string, not 5"),
        (lambda v, M: setattr(v, "name", b"v"), TypeError, "a name is a string"),
        (lambda v, M: tg.name_values(v=v) or copy.copy(v * 2), GradError, r"v\.data"),
        (lambda v, M: v.sum(dim=0), TypeError, r"sum\(\) does not take dim=; here it is axis="),
        (lambda v, M: v.mean(0, keepdim=True), TypeError, "keepdims="),
        (lambda v, M: tg.softmax(v, dim=0), TypeError, "softmax.*axis="),
        (lambda v, M: tg.stack([v, v], dim=0), TypeError, "stack.*axis="),
        (lambda v, M: tg.concatenate([v, v], dim=0), TypeError, "concatenate.*axis="),
        (lambda v, M: tg.squeeze(v, dim=0), TypeError, "squeeze.*axis="),
        (lambda v, M: tg.std(v, unbiased=True), TypeError, "std.*ddof="),
        (lambda v, M: tg.relu(v, inplace=True), TypeError, "relu.*new Values"),
        (lambda v, M: tg.cross_entropy(M, M, reduction="sum"), TypeError, r"tg\.mean"),
        (lambda v, M: tg.sum(None), TypeError, "^sum: real numbers are needed, not None"),
        (lambda v, M: tg.sum("abc"), TypeError, "^sum: real numbers are needed, not 'abc'"),
        (lambda v, M: tg.exp("a"), TypeError, "^exp: real numbers"),
        (lambda v, M: tg.exp(1j), TypeError, "^exp: real numbers"),
        (lambda v, M: tg.matmul([["a"]], M), TypeError, "^matmul: real numbers"),
        (lambda v, M: tg.power("a", 2), TypeError, "^power: real numbers"),
        (lambda v, M: tg.tile(None, 2), TypeError, "^tile: real numbers"),
        (lambda v, M: tg.gelu("a"), TypeError, "^gelu: real numbers"),
        (lambda v, M: tg.mean_squared_error("a", "b"), TypeError, "^mean_squared_error: real num"),
        (lambda v, M: tg.exp([[1, 2], [3]]), TypeError, "^exp: cannot read list as numbers"),
        (lambda v, M: tg.concatenate(v, v), TypeError, r"concatenate\(\[v, w\]\)"),
        (lambda v, M: np.concatenate(v, v), TypeError, r"concatenate\(\[v, w\]\)"),
        (lambda v, M: tg.solve(np.eye(2), v), GradError, r"^solve: matmul: .* v \(3,\)"),
        (lambda v, M: tg.solve(np.eye(2), np.ones(3)), GradError, r"^solve: .*do not chain"),
        (lambda v, M: tg.matmul(np.eye(2), np.ones(3)), GradError,
         "^matmul: .*first of the second"),
        (lambda v, M: tg.matmul(np.ones((2, 3, 4)), np.ones((5, 4, 2))), GradError,
         "axes before the last two"),
        (lambda v, M: tg.matmul(2.0, M.data), GradError, r"use \*"),
        (lambda v, M: tg.embedding(M, [5]), GradError, r"^embedding: .*M \(2, 2\).*out of bounds"),
        (lambda v, M: (v**2).backward(), GradError, "the result of power has"),
        (lambda v, M: range(v), TypeError, "v is a Value, and a whole number is needed"),
        (lambda v, M: tg.jacobian(lambda x: (x, x**2))(2.0), TypeError,
         r"^jacobian: the function returned a tuple of 2; .*tg\.stack"),
        (lambda v, M: tg.grad(lambda x: None)(2.0), TypeError, "^grad: .*is a return missing"),
        (lambda v, M: tg.grad(lambda x: x.item())(2.0), TypeError, "^grad: .*lost on the way"),
        (lambda v, M: tg.hessian(lambda x: x)(np.ones(2)), GradError, r"^hessian: .*shape \(2,\)"),
        (lambda v, M: tg.hvp(lambda x: x, np.ones(2), np.ones(2)), GradError, "^hvp: .*shape"),
        (lambda v, M: tg.value_and_grad(lambda x: x)(np.ones(2)), GradError, "^value_and_grad: "),
        (lambda v, M: tg.compile(v.sum())(np.ones(3)), TypeError, r"by name: program\(v=…\)$"),
        (lambda v, M: tg.compile(v.sum())({"v": np.ones(3)}), TypeError,
         r"program\(v=…\); of a dictionary write program\(\*\*numbers\)"),
        (lambda v, M: tg.render(v, "v.svg", format="svg"), TypeError, r"^render\(\) .*suffix"),
        (lambda v, M: tg.name_values(v), TypeError, r"by name: name_values\(W1=…\)"),
        (lambda v, M: tg.pad(v, -1), GradError, "^pad: "),
        (lambda v, M: nn.clip_norm({"v": "a"}, 1.0), TypeError, "^clip_norm: v: numbers"),
        (lambda v, M: nn.Network(2, [nn.Dense(1)]), TypeError, "one after another"),
        (lambda v, M: nn.LayerNorm(4), TypeError, "^LayerNorm: activation"),
        (lambda v, M: nn.Network(2, nn.Dense(1)).fit(np.ones((9, 2)), np.ones(9)), GradError,
         r"\(2, m\), one example per column.*\.T.*rows=True"),
        (lambda v, M: nn.Network(2, nn.Dense(1), rows=True).fit(np.ones((2, 9)), np.ones(9)),
         GradError, r"\(m, 2\), one example per row.*\.T.*rows=False"),
        (lambda v, M: nn.Network(2, nn.Dense(1)).fit(np.ones((2, 9))), GradError, "Y is missing"),
        (lambda v, M: nn.Network(2, nn.Dense(1)).fit("abc", [1.0]), TypeError, "^fit: X: real"),
        (lambda v, M: nn.Network(2, nn.Dense(1)).save("nowhere/net.npz"), FileNotFoundError,
         "no folder 'nowhere' to write net.npz in"),
        (lambda v, M: tg.cross_entropy(Value(np.ones((2, 3))), [0, 1]), GradError, "axis=1"),
        (lambda v, M: tg.cross_entropy(Value(np.ones((3, 2))), [0, 1, 2], axis=1), GradError,
         "cross_entropy: labels must be 0 … 1"),
        (lambda v, M: tg.cross_entropy(Value(np.ones((3, 2))), [0, 1, 0], axis=0), GradError,
         "rows write axis=1"),
        (lambda v, M: tg.cross_entropy(Value(np.ones((2, 3))), [0, 1], axis=0), GradError,
         "rows write axis=1"),
        (lambda v, M: tg.cross_entropy(Value(np.ones((3, 2))), [0.0, 1.0]), TypeError,
         r"labels are floats.*astype\(int\)"),
        (lambda v, M: tg.one_hot([0, 5], 3), GradError, "^one_hot: labels must be 0 … 2"),
        (lambda v, M: tg.one_hot([0.5], 3), TypeError, "^one_hot: labels must be whole numbers"),
        (lambda v, M: tg.one_hot([True], 3), TypeError, "^one_hot: labels must be whole numbers"),
        (lambda v, M: tg.one_hot(["a"], 3), TypeError, "^one_hot: real numbers are needed"),
        (lambda v, M: nn.Network(2, nn.Dense(3, "softmax")).cost(M, [0.0, 1.5]), TypeError,
         "classes Y must be whole numbers"),
        (lambda v, M: tg.grad(lambda x: x, argnum=1), TypeError, "argnums="),
        (lambda v, M: v.numpy(), AttributeError, r"v\.data"),
        (lambda v, M: v.view(3, 1), AttributeError, r"v\.reshape"),
        (lambda v, M: v.unsqueeze(0), AttributeError, r"tg\.expand_dims"),
        (lambda v, M: v.requires_grad_(), AttributeError, r"v\.requires_grad = True"),
        (lambda v, M: tg.tensor([1.0]), AttributeError, r"tg\.Value"),
        (lambda v, M: tg.cat([v, v]), AttributeError, r"tg\.concatenate"),
        (lambda v, M: tg.optim.Adam(), AttributeError, r"nn\.Adam"),
        (lambda v, M: tg.linalg.inv(M), AttributeError, r"tg\.inv"),
        (lambda v, M: tg.sofmax(v), AttributeError, "did you mean 'softmax'"),
        (lambda v, M: nn.Linear(3, 4), AttributeError, r"nn\.Dense"),
        (lambda v, M: nn.SGD(0.1), AttributeError, r"nn\.GradientDescent"),
    ],
)  # fmt: skip
def test_an_error_says_operation_names_and_what_to_do(call, error, said):
    v, M = Value([1.0, 2.0, 3.0], "v"), Value(np.ones((2, 2)), "M")
    with pytest.raises(error, match=said):
        call(v, M)


@pytest.mark.parametrize(
    "call, error, said",
    [
        (lambda net: net.parameters(), TypeError, r"net\.parameters is a dictionary"),
        (lambda net: net.zero_grad(), AttributeError, r"p\.zero_grad\(\)"),
        (lambda net: net.forward(1), AttributeError, r"net\(X\)"),
        (lambda net: net.state_dict(), AttributeError, r"net\.state\(\)"),
        (lambda net: net.fitt, AttributeError, "did you mean 'fit'"),
        (lambda net: nn.Adam(net.parameters, lr=0.1), TypeError, r"step\(net\.parameters"),
        (lambda net: nn.GradientDescent(list(net.parameters.values()), 0.1), TypeError, "step"),
        (lambda net: nn.Momentum(net.parameters.values(), lr=0.1), TypeError, "Momentum takes no"),
        (lambda net: nn.Adam(learning_rate=0.1), TypeError, "lr="),
        (lambda net: nn.Adam(0.1, betas=(0.9, 0.99)), TypeError, "beta1="),
        (lambda net: nn.Adam(0.1).zero_grad(), AttributeError, "zero_grad"),
        (lambda net: net.fit(np.ones((2, 3)), np.ones((1, 3)), lr=0.1), TypeError, "optimiser="),
        (lambda net: net.fit(np.ones((2, 3)), np.ones((1, 3)), optimizer=nn.Adam()), TypeError,
         "optimiser="),
    ],
)  # fmt: skip
def test_habits_of_other_libraries_are_answered_by_networks_and_optimisers(call, error, said):
    with pytest.raises(error, match=said):
        call(nn.Network(2, nn.Dense(1, "sigmoid")))


@pytest.mark.parametrize("number", [True, np.bool_(True), np.int8(1), np.uint8(1), np.int16(1)])
def test_small_whole_numbers_are_not_computed_with_in_half_precision(number):
    assert tg.exp(number) == np.exp(1.0)
    assert tg.exp(np.array([number])).dtype == np.float64
    assert tg.multiply(np.float32([2.0]), np.array([number])).dtype == np.float32


@pytest.mark.parametrize("write", [
    "w.data += step", "w.data -= step", "w.data *= step", "w.data /= step", "w.data **= step",
])  # fmt: skip
@pytest.mark.parametrize("numbers", [1.5, [1.5, 2.5]])
def test_a_value_put_into_the_numbers_of_another_is_refused_in_words(write, numbers):
    w, step = Value(numbers, "w"), Value(numbers, "step")
    with pytest.raises(TypeError, match=r"^(the numbers of )?w.*(Value already|step\.data)"):
        exec(write, {"w": w, "step": step})
    assert np.array_equal(w.data, numbers)


def test_the_answer_stands_in_the_message_itself():
    """A shell that prints the message alone, as IPython does, shows it too."""
    code = (
        "import tinygrad_edu as tg\ntry:\n  tg.Value(1.0).clone\n"
        "except AttributeError as error:\n  print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "here it is +v" in done.stdout


def test_what_a_value_has_not_it_has_not():
    v = Value(1.0)
    assert not hasattr(v, "numpy")
    assert "numpy" not in dir(v)
    assert {"grad", "backward", "sum", "name"} <= set(dir(v))
    assert not hasattr(v, "__array_interface__")
    assert getattr(v, "_repr_html_", None) is None
    assert not hasattr(nn.Network(2, nn.Dense(1)), "_repr_markdown_")


def test_writing_a_value_into_an_array_says_what_to_do():
    buffer = np.zeros(3)
    for v in (Value(2.0), Value([1.0]), Value([1.0, 2.0, 3.0])):
        for place in (0, slice(None)):
            with pytest.raises((TypeError, ValueError)) as found:
                buffer[place] = v
            assert "tg.stack" in f"{found.value} {found.value.__cause__}"
    assert buffer.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("draw", ["plot", "scatter", "bar"])
def test_plotting_a_value_says_what_to_plot(draw):
    figure = pytest.importorskip("matplotlib.figure")
    axes = figure.Figure().add_subplot()
    x, v = np.arange(3.0), Value([1.0, 2.0, 3.0], "v")
    with pytest.raises((TypeError, GradError), match=r"v\.data"):
        getattr(axes, draw)(x, v)
    getattr(axes, draw)(x, v.data)


class Weight(Value):
    """A Value with something to remember."""

    def __init__(self, data, unit="m"):
        super().__init__(data, "weight")
        self.unit = unit


@pytest.mark.parametrize(
    "f",
    [
        lambda w, x: w * x, lambda w, x: x * w, lambda w, x: 2.0 - w, lambda w, x: w**2 + x,
        lambda w, x: tg.stack([w, x, w]), lambda w, x: np.maximum(x, w), lambda w, x: tg.exp(w),
        lambda w, x: tg.where(x > 0, w, x), lambda w, x: x @ w,
    ],
)  # fmt: skip
def test_a_subclass_of_value_computes_like_a_value(f):
    w, x = Weight([0.5, 1.5]), Value([1.0, -2.0])
    z = f(w, x)
    assert type(z) is Value
    z.backward(np.ones(z.shape))
    same(
        w.grad, five_point(lambda a: np.sum(f(Value(a), x.detach()).data), (w.data,), 0), 1e-7, "dw"
    )
    for twin in (copy.copy(w), copy.deepcopy(w), pickle.loads(pickle.dumps(w))):
        assert type(twin) is Weight
        assert (twin.unit, twin.name) == ("m", "weight")
        assert np.array_equal(twin.grad, w.grad)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["X", "Y"])
def test_data_that_is_not_finite_is_blamed_and_not_the_learning_rate(bad, name):
    X, Y = rng().standard_normal((2, 5)), rng().standard_normal((1, 5))
    {"X": X, "Y": Y}[name][0, 3] = bad
    net = nn.Network(2, nn.Dense(1))
    with pytest.raises(GradError, match=rf"1 of the \d+ numbers of {name}.*isfinite"):
        net.fit(X, Y, epochs=2, batch_size=None)


# --- one picture, one sweep --------------------------------------------------------------------


def shown(source):
    """The gradients a picture shows, as text."""
    return re.findall(r"<FONT COLOR=\"#[0-9a-f]+\">([-\d.e]+)</FONT>", source)


def test_a_gradient_of_another_graph_is_not_shown_as_this_ones():
    w, x = Value(2.0, "w"), Value(3.0, "x", requires_grad=False)
    (w * 100.0).backward()
    J = w * x
    assert "100" not in tg.draw(J).source
    assert tg.draw(J).source.count("not computed") == 2
    J.backward()  # w.grad is now of both
    assert w.grad == 103.0
    source = tg.draw(J).source
    assert "103" not in source
    assert shown(source) == ["3", "1"]
    assert "other sweeps" in source
    w.zero_grad()
    (w * 7.0).backward()
    assert shown(tg.draw(J).source) == ["3", "1"]
    assert w.grad == 7.0


def test_the_page_and_the_parts_show_one_sweep_too(tmp_path):
    w = Value(0.5, "w")
    (w * 1234.0).backward()
    J = tg.sigmoid(w)
    J.backward()
    for picture in (tg.draw(J, detail="parts").source, tg.draw(J, max_nodes=1).source):
        assert "1234" not in picture
    page = tg.render(J, tmp_path / "page.html").read_text("utf-8")
    assert "1234" not in page


def test_a_trained_network_is_drawn_without_the_gradients_of_its_training():
    net = nn.Network(2, nn.Dense(1, "sigmoid"), seed=1)
    X, Y = rng().standard_normal((2, 4)), np.array([[0, 1, 1, 0]])
    net.fit(X, Y, epochs=2)
    assert all(p.grad is not None for p in net.parameters.values())
    assert shown(net.draw(X, Y).source) == []
    assert (
        net.draw().source.count("not computed") == net.draw(X, Y).source.count("not computed") > 0
    )
