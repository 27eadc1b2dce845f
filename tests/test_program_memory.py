"""The memory of a program: what is a look at other memory, and what a caller may keep."""

import array
import tracemalloc

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.test_program import assert_program_is_right, layers, network, small_program


class Whole:
    """What NumPy asks for ``__index__``."""

    def __index__(self):
        return 1


def table(seed=0, shape=(3, 4)):
    return {"x": np.random.default_rng(seed).normal(size=shape)}


# --- looks at memory ----------------------------------------------------------------------------

INDICES = {
    "NumPy's integer": np.int64(0), "another": np.uint8(2), "a negative one": np.int32(-1),
    "an integer without axes": np.array(1), "__index__": Whole(), "True": True,
    "NumPy's True": np.True_, "a mask without axes": np.array(True), "a list": [0, 2],
    "a range": range(2), "a buffer": array.array("i", [2, 0]),
    "a view of memory": memoryview(np.array([1, 1])), "a mask": np.array([True, False, True]),
    "a list of bools": [False, True, True], "everything": ..., "a new axis": None,
    "integers of two kinds": (np.int64(1), 2), "an integer and a slice": (np.int64(1), slice(None)),
    "a number, as a view": (0, 1, ...), "an array and an integer": (np.array(1), 2),
    "an array of one and a slice": (np.array([1]), slice(1, 3)),
    "ends of several types": slice(np.int64(0), np.array(2), None), "an end": (slice(Whole()),),
    "backward": slice(None, None, -1), "backward columns": (..., slice(None, None, -2)),
    "new axes between": (None, np.int64(1), None, slice(1, None)),
    "a mask of all": np.arange(12).reshape(3, 4) % 2 == 0, "True and an axis": (True, np.int64(0)),
    "no place": np.zeros(0, int), "no place by a mask": np.zeros(3, bool),
}  # fmt: skip


@pytest.mark.parametrize("index", INDICES.values(), ids=INDICES.keys())
@pytest.mark.parametrize("linear", [lambda x: x * 2.0 + 1.0, lambda x: x, lambda x: (3.0 - x).T.T])
def test_what_is_indexed_may_be_forgotten_or_not_as_numpy_answers(index, linear):
    """No gradient needs the numbers of a linear node: only a look at them keeps their memory."""
    assert_program_is_right(
        lambda x: tg.sum(tg.tanh(linear(x)[index]) * linear(x)[index]) + tg.sum(tg.exp(x) * x),
        table(0), table(1), table(2),
    )  # fmt: skip


@pytest.mark.parametrize("kind", [int, np.int64, np.array, lambda i: (np.int16(i), slice(None))])
def test_rows_taken_one_by_one_are_the_graphs(kind):
    def cost(x):
        z = x * 2.0 + 1.0
        return sum(tg.sum(tg.tanh(z[kind(i)]) * z[kind(i)]) * (i + 1.0) for i in range(3))

    assert_program_is_right(cost, table(0), table(1))


LOOKS = {
    "transpose, then a row of it": lambda x: x.T[np.int64(1)],
    "a shape of a transpose": lambda x: x.T.reshape(2, 6),
    "a shape of a slice": lambda x: x[1:].reshape(4, 2),
    "a shape of every other": lambda x: x[:, ::2].reshape(-1),
    "a shape of a column": lambda x: x[:, 1:2].reshape(3),
    "repeated, then turned": lambda x: tg.broadcast_to(x, (2, 3, 4)).T[1],
    "repeated, in one row": lambda x: tg.broadcast_to(x, (2, 3, 4)).reshape(-1)[5:17],
    "squeezed": lambda x: tg.squeeze(x[None, :, None])[2],
    "axes exchanged, then raveled": lambda x: tg.ravel(tg.swapaxes(x.reshape(3, 2, 2), 0, 2)),
    "an axis moved, then a shape": lambda x: tg.moveaxis(x[None], 0, 2).reshape(4, 3),
    "backward, in one row": lambda x: x[::-1, ::-1].reshape(-1),
    "a slice of a slice": lambda x: x[1:][:, 1:][::-1],
    "one number with its axes": lambda x: x[2:, 3:].reshape(1),
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS.keys())
def test_looks_at_looks_are_taken_as_numpy_takes_them(look):
    def cost(x):
        z = x * 2.0 - 1.0
        return tg.sum(tg.tanh(look(z)) * look(z)) + tg.sum(tg.sin(look(tg.exp(x * 0.1)))) * 3.0

    assert_program_is_right(cost, table(0), table(1))
    x = tg.Value(table()["x"], "x")
    turned = np.asfortranarray(table(1)["x"])  # how an argument lies in memory is the caller's
    program = tg.compile(cost(x))
    plain, other = program(x=table(1)["x"]), program(x=turned)
    assert plain[0] == pytest.approx(other[0], rel=1e-13)
    np.testing.assert_allclose(plain[1]["x"], other[1]["x"], rtol=1e-12)


def test_arrays_as_sizes_and_limits_compile(tmp_path):
    """What `np.load` reads is an array without axes."""
    np.savez(tmp_path / "n.npz", n=2, low=-0.5)
    with np.load(tmp_path / "n.npz") as found:
        n, low = found["n"], found["low"]
    for f in (
        lambda x: x[:n], lambda x: x[n], lambda x: x[n - 1 :, ::n], lambda x: tg.clip(x, low, None),
        lambda x: tg.sum(x, axis=n - 1), lambda x: tg.reshape(x, np.array([n, 6])), lambda x: x**n,
    ):  # fmt: skip
        assert_program_is_right(lambda x, f=f: tg.sum(tg.tanh(f(x))), table(0), table(1))


# --- whose memory is it -----------------------------------------------------------------------


def arrays_of(found):
    """Everything a call hands out that has axes."""
    return [x for part in found[1:] for x in part.values() if np.ndim(x)]


PROGRAMS = {
    "a product": lambda: tg.sum(small("w") @ small("x", (3, 4))),
    "an argument is the gradient": lambda: tg.sum(small("w") * small("y")),
    "one number everywhere": lambda: tg.sum(small("w")) * small("c", ()),
    "a transpose": lambda: tg.sum(small("w").T * small("v", (3, 2))),
    "a mask": lambda: tg.sum(tg.relu(small("w"))),
    "a slice": lambda: tg.sum(tg.tanh(small("w")[:, 1:])),
    "a slice and the whole": lambda: tg.sum(small("w")[1] * 2.0) + tg.sum(tg.exp(small("w"))),
    "places that repeat": lambda: tg.sum(tg.exp(small("w")[[0, 0, 1]])),
    "float32": lambda: tg.sum(tg.relu(small("w", dtype=np.float32))),
    "nothing arrives": lambda: tg.sum(small("y") * tg.greater(small("w"), 0)),
    "a constant": lambda: tg.sum(small("w") * np.full((2, 3), 3.0)),
    "numbers in a list": lambda: sum(small(f"c{i}", ()) * (i + 1.0) for i in range(40)),
}


def small(name, shape=(2, 3), dtype=float):
    """A leaf, the same for the same name in one graph."""
    return LEAVES.setdefault(name, tg.Value(np.full(shape, 0.5, dtype), name))


LEAVES = {}


@pytest.mark.parametrize("make", PROGRAMS.values(), ids=PROGRAMS.keys())
def test_what_is_handed_out_is_the_callers_own(make):
    """Kept or written into, by itself or through a view: no call changes another's arrays."""
    LEAVES.clear()
    cost = make()
    program = tg.compile(cost, also={"w": tg.exp(next(iter(LEAVES.values())))})
    given = {name: np.full(v.shape, 0.25, v.dtype)[()] for name, v in LEAVES.items()}
    first = program(**given)
    second = program(**given)
    kept = [(view, view.copy()) for x in arrays_of(first) for view in (x, x.T, x[:1], x.ravel())]
    for a in arrays_of(first):
        assert a.flags.writeable
        others = [x for x in (*arrays_of(first), *arrays_of(second)) if x is not a]
        assert not any(np.shares_memory(a, x) for x in (*others, *given.values()))
    program(**{name: x * 3 for name, x in given.items()})
    for view, copy in kept:
        np.testing.assert_array_equal(view, copy)
    for a in arrays_of(first):
        a.fill(np.nan)
    for found, expected in zip(arrays_of(program(**given)), arrays_of(second), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_programs_results_may_be_its_next_arguments():
    program = small_program()
    w = np.ones((2, 3))
    for _ in range(3):
        expected = program(w=w.copy())[1]["w"]
        w = program(w=w)[1]["w"]
        np.testing.assert_array_equal(w, expected)


@pytest.mark.parametrize("held", [0, 1, 3, 8])
def test_a_call_takes_memory_for_what_it_hands_out_only(held):
    """Of 800 KB for each result on the way nothing is new, however many results are kept."""
    values = {k: tg.Value(x, k) for k, x in network(sizes=(3, 400, 2), m=250).items()}
    Y = values.pop("Y").data
    program = tg.compile(tg.mean(tg.cross_entropy(layers(**values), Y)))
    program()
    tracemalloc.start()
    try:
        kept = [program() for _ in range(held)]
        kept.append(program())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    handed_out = sum(x.nbytes for found in kept for x in arrays_of(found))
    assert handed_out < peak < handed_out + 100_000
