"""NumPy's own functions on Values: the same node as ours, or a TypeError; never a lost gradient."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from oracles import five_point, same

import tinygrad_edu as tg
from tinygrad_edu import Value
from tinygrad_edu.core import protocol
from tinygrad_edu.core.protocol import QUESTIONS, REDUCTIONS, name_of

#: NumPy 2.5 says so of a name that is older than `trunc`, which does the same.
pytestmark = pytest.mark.filterwarnings("ignore:numpy.fix is deprecated:DeprecationWarning")

#: Every one of NumPy's functions that makes a Value of Values.
KNOWN = {**protocol.UFUNCS, **protocol.FUNCTIONS, **protocol.others()}
KNOWN = {f: meaning for f, meaning in KNOWN.items() if f not in protocol.QUESTIONS}
UFUNCS = [f for f in KNOWN if isinstance(f, np.ufunc)]
FUNCTIONS = [f for f in KNOWN if not isinstance(f, np.ufunc)]
NUMPY = tuple(map(int, np.__version__.split(".")[:2]))


def rng():
    return np.random.default_rng(4)


def numbers_for(function):
    """Inputs in the domain of a function of one or two arrays, away from its kinks."""
    x = rng().permutation(np.linspace(0.3, 1.4, 6)).reshape(2, 3)
    y = rng().permutation(np.linspace(0.4, 2.2, 6)).reshape(2, 3)
    if function in (np.arcsin, np.arccos, np.arctanh):
        return x / 2, y
    if function is np.arccosh:
        return x + 1, y
    return (x, y.T) if function is np.matmul else (x, y)


#: Their slope is zero everywhere, by each input or by the first.
STEPS = {np.sign, np.floor, np.ceil, np.trunc, np.rint, np.floor_divide}


@pytest.mark.parametrize("function", UFUNCS, ids=lambda f: f.__name__)
def test_a_ufunc_gives_a_value_with_numpys_numbers_and_the_right_gradient(function):
    arrays = numbers_for(function)[: function.nin]
    leaves = [Value(x) for x in arrays]
    z = function(*leaves)
    assert type(z) is Value
    same(z.data, function(*arrays), 1e-15, function.__name__)
    w = rng().standard_normal(z.shape)
    if not z.requires_grad:
        assert function in STEPS
        return
    z.backward(w)
    for i, leaf in enumerate(leaves):
        if function is np.heaviside and i == 0:
            assert leaf.grad is None
            continue
        same(leaf.grad, five_point(lambda *xs: np.sum(w * function(*xs)), arrays, i), 1e-7, "dx")


@pytest.mark.parametrize("function", [f for f in UFUNCS if f.nin == 2], ids=lambda f: f.__name__)
def test_a_ufunc_takes_a_value_on_either_side(function):
    x, y = numbers_for(function)
    for z in (function(Value(x), y), function(x, Value(y))):
        assert type(z) is Value
        same(z.data, function(x, y), 1e-15, function.__name__)


@pytest.mark.parametrize("function", REDUCTIONS, ids=lambda f: f.__name__)
def test_reduce_is_the_reduction_over_the_first_axis(function):
    x = numbers_for(function)[0]
    for options in ({}, {"axis": 1}, {"axis": None}, {"axis": 1, "keepdims": True}):
        z = function.reduce(Value(x), **options)
        assert type(z) is Value
        same(z.data, function.reduce(x, **options), 1e-15, function.__name__)


CALLS = {
    np.sum: [((), {}), ((1,), {}), ((), {"axis": (0, 1), "keepdims": True})],
    np.mean: [((), {}), ((0,), {}), ((), {"axis": -1, "keepdims": True})],
    np.prod: [((), {}), ((), {"axis": 1})],
    np.max: [((), {}), ((1,), {}), ((), {"axis": 0, "keepdims": True})],
    np.amax: [((), {}), ((1,), {})],
    np.amin: [((), {}), ((1,), {})],
    np.min: [((), {}), ((1,), {})],
    np.var: [((), {}), ((), {"axis": 1, "ddof": 1})],
    np.std: [((), {}), ((), {"axis": 1, "keepdims": True})],
    np.linalg.norm: [
        ((), {}), ((), {"axis": 1}), (("fro",), {}), ((2,), {"axis": 0}), ((None, 1, True), {}),
    ],
    np.linalg.vector_norm: [((), {}), ((), {"axis": 1, "ord": 1})],
    np.linalg.matrix_norm: [((), {}), ((), {"ord": "nuc"})],
    np.lib.stride_tricks.sliding_window_view: [(((2, 2),), {}), ((2,), {"axis": 1})],
    np.cumsum: [((), {}), ((1,), {})],
    np.round: [((), {}), ((1,), {}), ((), {"decimals": 1})],
    np.around: [((), {}), ((1,), {})],
    np.fix: [((), {})],
    np.sinc: [((), {})],
    np.sort: [((), {}), ((0,), {}), ((), {"axis": None})],
    np.median: [((), {}), ((1,), {}), ((), {"axis": 0, "keepdims": True})],
    np.ptp: [((), {}), ((), {"axis": 1})],
    np.diff: [((), {}), ((), {"n": 2}), ((), {"axis": 0})],
    np.cumprod: [((), {}), ((1,), {})],
    np.take: [(([2, 0],), {"axis": 1}), ((3,), {})],
    np.take_along_axis: [((np.array([[1], [0]]),), {"axis": 1})],
    np.average: [((), {}), ((1,), {"weights": [1, 2, 3]})],
    np.nansum: [((), {}), ((), {"axis": 1})],
    np.nanmean: [((), {}), ((), {"axis": 1})],
    np.array_split: [((2,), {}), ((2,), {"axis": 1})],
    np.split: [((2,), {}), (([1, 2],), {"axis": 1})],
    np.vsplit: [((2,), {})],
    np.hsplit: [((3,), {})],
    np.tile: [((2,), {}), (((2, 1, 2),), {})],
    np.repeat: [((2,), {}), (([1, 0, 2],), {"axis": 1})],
    np.pad: [((1,), {}), ((((0, 1), (1, 2)),), {"mode": "edge"}), ((1,), {"constant_values": 2})],
    np.flip: [((), {}), ((1,), {})],
    np.fliplr: [((), {})],
    np.flipud: [((), {})],
    np.roll: [((1,), {}), ((1,), {"axis": 1})],
    np.rot90: [((), {}), ((3,), {})],
    np.diag: [((), {}), ((1,), {})],
    np.diagflat: [((), {})],
    np.diagonal: [((), {}), ((), {"offset": 1})],
    np.trace: [((), {}), ((1,), {})],
    np.linalg.trace: [((), {}), ((), {"offset": 1})],
    np.linalg.diagonal: [((), {}), ((), {"offset": 1})],
    np.linalg.matmul: [((np.ones((3, 2)),), {})],
    np.tril: [((), {}), ((), {"k": 1})],
    np.triu: [((), {}), ((), {"k": 1})],
    np.atleast_1d: [((), {})],
    np.atleast_2d: [((), {})],
    np.append: [((2.0,), {}), ((np.ones((1, 3)),), {"axis": 0})],
    np.delete: [((1,), {}), (([0, 2],), {"axis": 1})],
    np.atleast_3d: [((), {})],
    np.tensordot: [((np.ones((3, 2)),), {"axes": 1})],
    np.inner: [((np.arange(3.0),), {})],
    np.vdot: [((np.arange(6.0),), {})],
    np.kron: [((np.arange(3.0),), {})],
    np.dot: [((np.ones((3, 2)),), {}), ((2.0,), {})],
    np.outer: [((np.arange(3.0),), {})],
    np.clip: [
        ((0.5, 1.2), {}), ((None, 1.0), {}), ((), {"a_min": 0.5, "a_max": 1}),
        *([((), {"min": 1.0})] if NUMPY >= (2, 1) else []),
    ],
    np.reshape: [(((3, 2),), {}), ((-1,), {})],
    np.ravel: [((), {})],
    np.transpose: [((), {}), (((1, 0),), {}), ((), {"axes": (0, 1)})],
    np.matrix_transpose: [((), {})],
    np.swapaxes: [((0, 1), {})],
    np.moveaxis: [((0, 1), {})],
    np.expand_dims: [((0,), {}), ((), {"axis": -1})],
    np.squeeze: [((), {})],
    np.broadcast_to: [(((4, 2, 3),), {})],
}  # fmt: skip
JOINING = {
    np.concatenate: [{}, {"axis": 1}, {"axis": None}],
    np.stack: [{}, {"axis": 1}, {"axis": -1}],
    np.vstack: [{}],
    np.hstack: [{}],
    np.dstack: [{}],
    np.column_stack: [{}],
}
#: Those that take any number of arrays, one after another.
SEVERAL = [
    lambda v: np.einsum("ij,kj->ik", v, v),
    lambda v: np.einsum("ij->j", v),
    lambda v: np.einsum("j,ij", np.arange(3.0), v, optimize=True),
    lambda v: np.concatenate([*np.broadcast_arrays(v, np.ones((2, 1, 3)))]),
    lambda v: np.sum(np.atleast_3d(np.ones(3), v)[1]),
]


def test_every_function_of_the_map_is_tried():
    assert set(FUNCTIONS) == {
        *CALLS, *JOINING, np.where, np.dsplit, np.block, np.broadcast_arrays,
        np.convolve, np.correlate, np.einsum, np.linalg.inv, np.linalg.det, np.linalg.solve,
        np.linalg.matrix_power, np.linalg.multi_dot, np.linalg.slogdet, np.linalg.cholesky,
        np.linalg.eigh, np.linalg.eigvalsh, np.linalg.svd, np.linalg.svdvals, np.linalg.qr,
        np.linalg.pinv,
    }  # fmt: skip


def whole(function):
    """A function; the parts that it gives put together the other way round."""

    def call(*args, **options):
        z = function(*args, **options)
        return np.concatenate([np.ravel(part) for part in z[::-1]]) if isinstance(z, list) else z

    return call


@pytest.mark.parametrize("given", CALLS, ids=name_of)
def test_a_function_gives_a_value_with_numpys_numbers_and_the_right_gradient(given):
    x = numbers_for(given)[0]
    for args, options in CALLS[given]:
        leaf = Value(x)
        function = whole(given)
        z = function(leaf, *args, **options)
        assert type(z) is Value
        same(z.data, function(x, *args, **options), 1e-14, f"{args} {options}")
        w = rng().standard_normal(z.shape)
        if given in (np.round, np.around, np.fix):
            assert not z.requires_grad
            continue
        z.backward(w)
        expected = five_point(
            lambda v, f=function, a=args, o=options, w=w: np.sum(w * f(v, *a, **o)), (x,), 0
        )
        same(leaf.grad, expected, 1e-7, f"{args} {options}")


@pytest.mark.parametrize("function", SEVERAL)
def test_a_function_of_any_number_of_arrays_takes_values_among_them(function):
    x = numbers_for(np.einsum)[0]
    leaf = Value(x)
    z = function(leaf)
    same(z.data, function(x), 1e-14, "value")
    np.sum(z).backward()
    same(leaf.grad, five_point(lambda v: np.sum(function(v)), (x,), 0), 1e-7, "gradient")


@pytest.mark.parametrize("function", JOINING, ids=name_of)
def test_arrays_and_values_are_joined(function):
    x, y = numbers_for(function)
    for options in JOINING[function]:
        leaf = Value(x)
        for parts in ([leaf, y], (y, leaf), [leaf, leaf]):
            leaf.zero_grad()
            z = function(parts, **options)
            assert type(z) is Value
            same(
                z.data,
                function([p.data if p is leaf else p for p in parts], **options),
                0,
                "joined",
            )
            z.sum().backward()
            same(leaf.grad, np.ones((2, 3)) * sum(p is leaf for p in parts), 0, "dx")


def test_where_in_numpys_order():
    x = numbers_for(np.where)[0]
    leaf = Value(x)
    z = np.where(x > 1, leaf, 0.0)
    z.sum().backward()
    assert np.array_equal(leaf.grad, (x > 1).astype(float))
    with pytest.raises(TypeError, match="where"):
        np.where(Value(x))


#: Writing, reading, printing and other functions that have nothing to do with arithmetic.
ELSEWHERE = {
    "asarray_chkfinite", "info", "lookfor", "source", "test", "show_config", "show_runtime", "who",
    "save", "savetxt", "savez", "savez_compressed", "load", "loadtxt", "genfromtxt", "fromfile",
    "fromregex", "set_printoptions", "seterr", "seterrcall", "setbufsize", "memmap", "DataSource",
    "printoptions", "errstate", "get_include", "getbufsize", "geterr", "geterrcall",
    "get_printoptions",
}  # fmt: skip
#: Descriptions of a Value, not numbers computed from it.
TEXT = {
    "array_repr", "array_str", "array2string", "typename", "format_float_positional", "isscalar",
    "format_float_scientific", "iterable", "isfortran", "base_repr", "binary_repr",
}  # fmt: skip


def _everything_in_numpy():
    for place, module in (("np", np), ("np.linalg", np.linalg), ("np.fft", np.fft)):
        for name in sorted(dir(module)):
            function = getattr(module, name)
            if callable(function) and not isinstance(function, type) and not name.startswith("_"):
                if name not in ELSEWHERE and name not in TEXT:
                    yield f"{place}.{name}", function


#: Functions whose second argument is a type, a shape or a tolerance; a Value there is no input.
TYPE_SECOND = {
    "array", "asanyarray", "asarray", "ascontiguousarray", "asfortranarray", "asmatrix", "bmat",
    "empty", "identity", "frombuffer", "fromiter", "ones", "zeros", "require", "fromstring",
    "astype", "real_if_close", "matrix_rank",
}  # fmt: skip


@pytest.mark.parametrize("name, function", list(_everything_in_numpy()))
def test_no_function_of_numpy_gives_back_numbers_that_lost_their_gradient(name, function):
    """With one to three arguments of several kinds: a Value, an answer to a question, an error."""
    v, square, number = Value([1.0, 2.0, 3.0]), Value(np.eye(2) + 0.5), Value(2.0)
    plain = np.arange(3.0)
    attempts = [
        (v,), (square,), (number,), ([v, v],), ((v, plain),), (v, v), (v, plain), (square, square),
        (v, 1), (number, 2.0), ([v, v], 0), (v, v, v), (v, plain, plain), (square, 0, 1),
    ]  # fmt: skip
    if name.split(".")[-1] not in TYPE_SECOND:
        attempts += [(plain, v), (1, v), (3, v), (plain > 1, v, v)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for args in attempts:
            copied = np.arange(3.0)
            args = tuple(copied if a is plain else a for a in args)
            try:
                result = function(*args)
            except (RecursionError, MemoryError):
                pytest.fail(f"{name}{args}")
            except Exception:
                result = None
            assert np.array_equal(copied, np.arange(3.0)), f"{name} wrote into an argument"
            if function in QUESTIONS or result is None or _only_shape(name):
                continue
            # Of several what was a Value is one, plain numbers stay; of one matrix all factors are.
            if isinstance(result, tuple) and len(result) == len(args):
                result = tuple(z for z, x in zip(result, args, strict=True) if type(x) is Value)
            assert _holds_values(result), f"{name}{args}: {result!r}"


def _only_shape(name):
    """Answers that depend on shapes and types alone."""
    return name.split(".")[-1] in {
        "broadcast_shapes", "isdtype", "may_share_memory", "shares_memory", "mintypecode",
        "iscomplexobj", "isrealobj", "common_type", "min_scalar_type", "issubdtype",
        "promote_types", "isnat",
    }  # fmt: skip


def _holds_values(result):
    if isinstance(result, (tuple, list)):
        return all(map(_holds_values, result))
    return isinstance(result, (Value, str, bool, np.bool_, type(NotImplemented)))


def test_the_refusal_names_the_function():
    v = Value([1.0, 2.0])
    for name, call in (
        ("np.percentile", lambda: np.percentile(v, 50)),
        ("np.linalg.eig", lambda: np.linalg.eig(v)),
        ("np.fmod", lambda: np.fmod(v, v)),
        ("np.unique", lambda: np.unique(v)),
        ("np.nextafter", lambda: np.nextafter(v, v)),
    ):
        with pytest.raises(TypeError, match=name.replace(".", r"\.")):
            call()


@pytest.mark.parametrize(
    "call",
    [
        lambda v: np.add(v, 1.0, out=np.zeros(2)),
        lambda v: np.exp(v, where=np.array([True, False])),
        lambda v: np.exp(v, dtype=np.float32),
        lambda v: np.sum(v, dtype=np.float32),
        lambda v: np.add.accumulate(v),
        lambda v: np.add.outer(v, v),
        lambda v: np.multiply.at(v, 0, 2.0),
        lambda v: np.add.reduceat(v, [0, 1]),
        lambda v: np.max(v, where=[True, False]),
        lambda v: np.concatenate([v, v], out=np.zeros(4)),
        lambda v: np.reshape(v, (2, 1), order="F"),
        lambda v: np.ravel(v, order="F"),
        lambda v: np.mean(v, where=[True, False, True]),
        lambda v: np.linalg.norm(v, "fro"),
        lambda v: np.linalg.norm(v.reshape(1, 2), 3),
        lambda v: np.linalg.norm(v.reshape(1, 1, 2), 2, (0, 1, 2)),
        lambda v: np.var(v, correction=1, ddof=1),
        lambda v: np.var(v, mean=1.5),
        lambda v: np.stack([v, v], dtype=np.float32),
        lambda v: np.std(v, 0, None, None, 1),
        lambda v: np.squeeze(v, 0, 1),
    ],
)
def test_what_an_operation_cannot_do_is_refused_and_not_ignored(call):
    with pytest.raises((TypeError, tg.GradError)):
        call(Value([1.0, 2.0]))


def test_questions_are_answered_with_plain_numbers():
    v = Value([[1.0, np.nan], [3.0, 4.0]])
    assert np.isnan(v).tolist() == [[False, True], [False, False]]
    assert np.argmax(v[1]) == 1
    assert np.shape(v) == (2, 2)
    assert np.ndim(v) == 2
    assert np.size(v) == 4
    assert np.zeros_like(v).tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert np.allclose(v[1], [3.0, 4.0])
    assert np.array_equal(v[1], Value([3.0, 4.0]))
    assert np.any(v > 3)
    assert type(np.ones_like(v)) is np.ndarray


def test_a_value_among_the_numbers_of_a_question_is_not_swallowed():
    """full_like would put its numbers, without gradient, where a constant is expected."""
    with pytest.raises(TypeError):
        np.full_like(np.zeros(3), Value(2.0))
    with pytest.raises(TypeError):
        np.full_like(Value([1.0]), Value(2.0))


def test_float_power_and_friends_agree_with_operators():
    x, y = Value([1.5, 2.0]), Value([2.0, 0.5])
    for a, b in ((np.power(x, y), x**y), (np.square(x), x**2), (np.reciprocal(x), 1 / x),
                 (np.float_power(x, 2), x**2), (np.power(2, x), 2**x)):  # fmt: skip
        assert np.array_equal(a.data, b.data)
        assert a.requires_grad
