"""Every keyword of NumPy's own functions, and of nobody's: it does what NumPy does with it, or is
refused by its name. None is ever passed over.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from domains import ROWS

import tinygrad_edu as tg
from tinygrad_edu.core import protocol
from tinygrad_edu.core.protocol import REDUCTIONS

#: NumPy 2.5 says so of a name that is older than `trunc`, which does the same.
pytestmark = pytest.mark.filterwarnings("ignore:numpy.fix is deprecated:DeprecationWarning")

#: Every one of NumPy's functions that makes a Value of Values.
KNOWN = {**protocol.UFUNCS, **protocol.FUNCTIONS, **protocol.others()}
KNOWN = {f: meaning for f, meaning in KNOWN.items() if f not in protocol.QUESTIONS}
UFUNCS = [f for f in KNOWN if isinstance(f, np.ufunc)]
FUNCTIONS = [f for f in KNOWN if not isinstance(f, np.ufunc)]
X = np.array([[0.3, 1.7, 0.9], [2.2, 0.4, 1.1]])
#: Something to pass under each name, unlike what NumPy takes without it.
GIVEN: dict[str, Any] = {
    "a_max": 1.0, "a_min": 0.5, "axes": (0, 1), "axis": 1, "casting": "unsafe", "copy": True,
    "correction": 1, "ddof": 1, "decimals": 1, "dtype": np.float32,
    "initial": 5.0, "keepdims": True, "max": 1.0,
    "mean": np.array([[1.0], [2.0]]), "min": 0.5, "nobody_has_this": 1, "ord": 1, "order": "F",
    "weights": np.array([[1.0, 2, 3], [4, 5, 6]]), "returned": True, "optimize": True,
    "n": 2, "prepend": 1.0,
    "append": 1.0, "overwrite_input": True, "kind": "stable", "stable": True, "mode": "wrap",
    "descending": True, "k": 1, "offset": 1, "axis1": 1, "axis2": 0,
    "upper": True, "UPLO": "U", "rcond": 0.1, "rtol": 0.1, "hermitian": True,
    "full_matrices": False, "compute_uv": False, "writeable": True,
    "out": np.zeros(()), "signature": "d->d", "subok": False, "where": X > 1,
}  # fmt: skip
#: What a function is called with before it is given a keyword.
ARGUMENTS: dict[Any, tuple[Any, ...]] = {
    np.tensordot: (X, X), np.inner: (X, X), np.vdot: (X, X), np.kron: (X, X),
    np.convolve: (X[0], X[1]), np.correlate: (X[0], X[1]), np.linalg.inv: (X[:, :2],),
    np.linalg.det: (X[:, :2],), np.linalg.solve: (X[:, :2], X), np.linalg.multi_dot: ([X, X.T],),
    np.linalg.matrix_power: (X[:, :2], 2), np.linalg.slogdet: (X[:, :2],),
    np.linalg.cholesky: (X @ X.T,), np.linalg.eigh: (X @ X.T,), np.linalg.eigvalsh: (X @ X.T,),
    np.linalg.svd: (X[:, :2],),
    np.lib.stride_tricks.sliding_window_view: (X[0], 2), np.einsum: ("ij,ij", X, X),
    np.take: (X, [1, 0]), np.take_along_axis: (X, np.array([[1, 0], [1, 1]])),
    np.array_split: (X, 2), np.split: (X, 2), np.vsplit: (X, 2), np.hsplit: (X, 3),
    np.dsplit: (X[..., None], 1), np.tile: (X, 2), np.repeat: (X, 2), np.pad: (X, 1),
    np.roll: (X, 1), np.append: (X, X), np.delete: (X, 1), np.column_stack: ([X, X],),
    np.dstack: ([X, X],), np.block: ([X, X],), np.broadcast_arrays: (X, X), np.average: (X,),
    np.arcsin: (X / 3,), np.arccos: (X / 3,), np.arctanh: (X / 3,), np.arccosh: (X + 1,),
    np.where: (X > 1, X, 2 * X), np.reshape: (X, (3, 2)), np.swapaxes: (X, 0, 1),
    np.moveaxis: (X, 0, 1), np.expand_dims: (X, 0), np.broadcast_to: (X, (4, 2, 3)),
    np.dot: (X, X.T), np.matmul: (X, X.T), np.outer: (X, X), np.clip: (X, 0.4, 2.0),
    np.squeeze: (X[:1],), np.concatenate: ([X, X],), np.stack: ([X, X],), np.vstack: ([X, X],),
    np.hstack: ([X, X],),
}  # fmt: skip


#: What has a first axis only, or whose second is too short.
ALONG_THE_FIRST = (
    np.squeeze, np.concatenate, np.stack, np.split, np.array_split,
    np.lib.stride_tricks.sliding_window_view,
)  # fmt: skip


def on_values(x: Any) -> Any:
    """The arrays of floats among arguments as Values."""
    if isinstance(x, (list, tuple)):
        return type(x)(map(on_values, x))
    return tg.Value(x) if isinstance(x, np.ndarray) and x.dtype == float else x


def calls() -> list[Any]:
    """Every function that a Value answers to, with each keyword of NumPy's for it and one more."""
    found = []
    for function in FUNCTIONS:
        try:
            parameters = inspect.signature(function).parameters.values()
        except ValueError:  # written in C, whose signatures older NumPy does not tell
            continue
        names = [
            p.name for p in parameters if p.default is not p.empty and p.name not in ("x", "y")
        ]
        found += [(function, name) for name in (*names, "nobody_has_this")]
    of_ufuncs = ("out", "where", "dtype", "casting", "order", "subok", "signature")
    found += [(u, name) for u in UFUNCS for name in (*of_ufuncs, "nobody_has_this")]
    of_reduce = ("axis", "dtype", "out", "keepdims", "initial", "where", "nobody_has_this")
    found += [(u.reduce, name) for u in REDUCTIONS for name in of_reduce]
    return [pytest.param(*call, id=f"{name(call[0])}-{call[1]}") for call in found]


def name(function: Any) -> str:
    owner = getattr(function, "__self__", None)
    return f"{owner.__name__}.reduce" if isinstance(owner, np.ufunc) else function.__name__


def outcome(call: Callable[[], Any]) -> Any:
    """What a call gives, or that it is refused."""
    try:
        return call()
    except (TypeError, ValueError) as error:
        return error


@pytest.mark.parametrize("function, keyword", calls())
def test_a_keyword_of_numpy_does_what_numpy_does_or_is_refused_by_name(function, keyword):
    args = ARGUMENTS.get(function, (X,) * getattr(function, "nin", 1))
    given = {keyword: GIVEN[keyword]}
    if keyword == "axis1" or keyword == "axis2":
        given = {"axis1": 1, "axis2": 0}
    if keyword == "out" and function not in (np.split, np.array_split):
        given = {"out": np.zeros_like(function(*args))}
    if keyword == "axis" and function in ALONG_THE_FIRST:
        given = {"axis": 0}
    found = outcome(lambda: function(*on_values(args), **given))
    if isinstance(found, Exception):
        assert keyword in str(found)
        return
    assert keyword != "out"
    if isinstance(found, (list, tuple)):
        assert [part.shape for part in found] == [p.shape for p in function(*args, **given)]
        return
    expected = function(*args, **given)  # what NumPy refuses is no answer
    assert found.dtype == expected.dtype
    assert np.allclose(found.data, expected, rtol=1e-15, atol=0)
    plain = outcome(lambda: function(*args)) if found.requires_grad else expected
    if not isinstance(plain, Exception) and not np.array_equal(expected, plain):
        found.backward(np.ones(found.shape))  # it counts for the gradient too


#: The same functions as the package's own, and as methods: each takes what it says, and no more.
METHODS = sorted(
    name for name, _ in inspect.getmembers(tg.Value, inspect.isfunction) if name[0] != "_"
)
OPERATIONS = sorted(set(tg.__all__) & set(ROWS))

without_a_meaning = pytest.mark.parametrize(
    "keyword", ["nobody_has_this", "out", "where", "dtype", "dim", "keepdim"]
)


#: What takes a mask, as NumPy's reductions do.
MASKED = ("max", "mean", "min", "prod", "std", "sum", "var")


@without_a_meaning
@pytest.mark.parametrize("name", METHODS)
def test_a_method_refuses_a_keyword_it_does_not_have(name, keyword):
    if keyword == "where" and name in MASKED:
        return
    with pytest.raises(TypeError, match=keyword):
        getattr(tg.Value(X), name)(**{keyword: GIVEN.get(keyword, 1)})


@without_a_meaning
@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_refuses_a_keyword_it_does_not_have(name, keyword):
    if keyword == "where" and name in MASKED:
        return
    with pytest.raises(TypeError, match=keyword):
        getattr(tg, name)(tg.Value(X), **{keyword: GIVEN.get(keyword, 1)})


MASK = np.array([[True, False, True], [True, True, False]])
OF_SOME = {
    "sum from 2": lambda x: np.sum(x, where=MASK, initial=2.0),
    "sum of rows": lambda x: np.sum(x, axis=1, where=MASK, keepdims=True),
    "sum of a column's mask": lambda x: np.sum(x, axis=0, where=MASK[:, :1]),
    "sum of none": lambda x: np.sum(x, axis=1, where=False),
    "add.reduce": lambda x: np.add.reduce(x, where=MASK, initial=1.0),
    "mean": lambda x: np.mean(x, axis=0, where=MASK | (np.arange(3) == 2)),
    "mean of all": lambda x: np.mean(x, where=MASK),
    "prod": lambda x: np.prod(x, axis=1, where=MASK, initial=3.0),
    "max": lambda x: np.max(x, axis=1, where=MASK, initial=-9.0),
    "max of all": lambda x: np.max(x, initial=2.0),
    "max of none": lambda x: np.max(x, axis=1, where=False, initial=2.0),
    "max of nothing": lambda x: np.max(x[:, :0], axis=1, initial=2.0),
    "min": lambda x: np.min(x, where=MASK, initial=9.0),
    "var, corrected": lambda x: np.var(x, axis=1, correction=1),
    "var": lambda x: np.var(x, axis=1, where=MASK, keepdims=True),
    "std, corrected": lambda x: np.std(x, axis=0, correction=1),
    "std": lambda x: np.std(x, where=MASK, ddof=1),
}  # fmt: skip


@pytest.mark.parametrize("kind", OF_SOME)
def test_a_reduction_of_some_numbers_is_numpys_and_has_their_gradient(kind):
    call = OF_SOME[kind]
    z = call(tg.Value(X))
    np.testing.assert_allclose(z.data, call(X), rtol=1e-14)
    assert z.data.dtype == np.float64 if z.shape else type(z.data) is float
    tg.check_gradients(call, X, order=2)
    narrow = call(tg.Value(X.astype(np.float32)))
    assert narrow.dtype == np.float32
    assert tg.derive(tg.sum(call(tg.Value(X, "X")) * 2.0)) is not None


def test_masks_and_limits_may_be_values_and_are_asked_anew_by_a_program():
    x, low = tg.Value(X, "x"), tg.Value([0.5, 1.0, 1.0], "low")
    J = tg.sum(tg.clip(x, low, 2.0) ** 2) + tg.sum(x, where=tg.greater(x, low))
    J.backward()
    inside = (X >= low.data) & (X <= 2)
    np.testing.assert_allclose(x.grad, 2 * X * inside + (X > low.data))
    np.testing.assert_allclose(low.grad, 2 * low.data * np.sum(X < low.data, axis=0))
    other = {"x": X[::-1].copy(), "low": np.array([1.5, 0.2, 1.0])}
    value, _ = tg.compile(J)(**other)
    y = other["x"]
    assert value == pytest.approx(
        np.sum(np.clip(y, other["low"], 2.0) ** 2) + np.sum(y, where=y > other["low"])
    )


REFUSED = {
    "is no mask of shape": lambda x: tg.sum(x, where=np.ones((4, 2, 3), bool)),
    "give initial= too": lambda x: tg.max(x, where=MASK),
    "are the same number": lambda x: tg.var(x, ddof=1, correction=1),
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_a_reduction_of_some_cannot_be_is_said(words):
    with pytest.raises((tg.GradError, TypeError), match=words):
        REFUSED[words](tg.Value(X))


QUESTIONS = {
    "argmax": {"axis": 1}, "argmin": {"axis": 0, "keepdims": True}, "any": {}, "all": {"axis": 0},
    "argsort": {"axis": 0}, "nonzero": {},
}  # fmt: skip


@pytest.mark.parametrize("name", QUESTIONS)
def test_methods_that_ask_a_question_answer_with_plain_numbers(name):
    x = np.array([[0.0, 1.7, 0.9], [2.2, 0.0, 1.1]])
    found = getattr(tg.Value(x), name)(**QUESTIONS[name])
    expected = getattr(x, name)(**QUESTIONS[name])
    assert not isinstance(found, tg.Value)
    assert np.array_equal(found, expected)


MAKING = {
    "copy": (), "log1p": (), "expm1": (), "round": (1,), "cumprod": (1,), "take": ([1, 0],),
    "repeat": (2,), "diagonal": (), "trace": (), "flatten": (), "squeeze": (), "std": (),
    "prod": (),
}  # fmt: skip


@pytest.mark.parametrize("name", MAKING)
def test_methods_of_an_array_are_those_of_a_value(name):
    function = {"log1p": np.log1p, "expm1": np.expm1}.get(
        name, lambda x: getattr(x, name)(*MAKING[name])
    )
    found = getattr(tg.Value(X, "X"), name)(*MAKING[name])
    assert isinstance(found, tg.Value)
    np.testing.assert_allclose(found.data, function(X), rtol=1e-15)
