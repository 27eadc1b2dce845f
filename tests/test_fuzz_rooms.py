"""Bad input to every public name of the package and of `tinygrad_edu.nn`: a clear error, no other.

`test_fuzz` does the operations and the methods of a Value. Here every other public name has one
good call, in which arguments are replaced by what should not be there. ``FUZZED`` calls, as there.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from test_fuzz import ALLOWED, FUZZED, OPERATIONS, material

import tinygrad_edu as tg
from tinygrad_edu import GradError, Value, nn
from tinygrad_edu.nn.training import Run

#: A good call: a function, its arguments by position, its options.
Call = tuple[Callable[..., Any], list[Any], dict[str, Any]]

SHEET = """
m = 5
X: (3, m)
w: (1, 3)
Z = w @ X
J = np.sum(Z**2) / m

dZ = 2 * Z
dw = dZ @ X.T / m
"""
X = np.random.default_rng(0).random((3, 5))
Y = np.array([[0, 1, 1, 0, 1]])


def net() -> Any:
    """A small network, made anew: a call may change it."""
    return nn.Network(3, nn.Dense(4, "tanh"), nn.Dense(1, "sigmoid"), seed=1)


def deep() -> Any:
    """A network whose hidden layer can be pretrained."""
    return nn.Network(3, nn.Dense(4, "sigmoid"), nn.Dense(1, "sigmoid"))


def cost() -> Value:
    """A small graph with names."""
    w = Value([[1.0, 2.0, 3.0]], "w")
    Z = w @ Value(X, "X", requires_grad=False)
    J = tg.mean(tg.sum(Z * Z, axis=0))
    tg.name_values(Z=Z, J=J)
    J.backward()
    return J


def chain() -> tuple[Value, Value]:
    """A linear layer and its input."""
    x = Value(np.ones((3, 1)), "x")
    return Value(np.ones((2, 3)), "W") @ x, x


def square(w: Any) -> Any:
    """A function to differentiate."""
    return tg.sum(w * w)


def by_hand(Z: Any) -> dict[str, Any]:
    """A backward pass as a learner writes one."""
    return {"dZ": 2 * Z}


def by_itself(numbers: Any) -> Any:
    """A cost and its gradient, as a learner writes them."""
    w = np.array(numbers["w"])
    return np.sum(w * w), {"w": 2 * w}


def stop(run: Run) -> None:
    """A callback: two steps are enough."""
    run.stop = run.position.step >= 2


def trained(**more: Any) -> Call:
    """A run of two steps at the most, whatever the other options say."""
    return nn.fit, [net(), X, Y], {"epochs": 1, "callbacks": [stop], "progress": False, **more}


def decorated(switch: Any) -> Callable[..., Any]:
    """What is done with a context manager that decorates too."""

    def call(*args: Any, **options: Any) -> Any:
        with switch(*args, **options):
            return tg.exp(1.0)

    return call


def called(make: Callable[..., Any], *args: Any) -> Callable[..., Any]:
    """What makes a function is asked for it, and the function is called."""
    return lambda *given, **options: make(*given, **options)(*args)


def layer(kind: Any) -> Callable[..., Any]:
    """A layer is made, put into a network, and used."""

    def call(*args: Any, **options: Any) -> Any:
        made = nn.Network(3, kind(*args, **options), nn.Dense(1, "sigmoid"))
        return made.cost(X, Y, np.random.default_rng(0))

    return call


def recurrent(*args: Any, **options: Any) -> Any:
    """A recurrent layer is made, put into a network, and used."""
    made = nn.Network(3, nn.Recurrent(*args, **options))
    return made.cost(*made.example())


def optimised(kind: Any) -> Callable[..., Any]:
    """An optimiser is made, and moves one parameter."""

    def call(*args: Any, **options: Any) -> Any:
        w = Value([1.0, 2.0], "w")
        return kind(*args, **options).step({"w": w}, None, {"w": np.ones(2)})

    return call


def rated(kind: Any) -> Callable[..., Any]:
    """A schedule is made, and asked for a rate."""
    return lambda *args, **options: nn.GradientDescent(kind(*args, **options)).step(
        {"w": Value(1.0)}, None, {"w": 1.0}
    )


RNG = np.random.default_rng(0)
CURVES = {"cost": [3.0, 2.0, 1.0]}
#: One good call per public name, or several where it can do several things.
CALLS: dict[str, list[Callable[[], Call]]] = {
    # --- functions of functions, rules, programs
    "grad": [lambda: (called(tg.grad, 2.0), [square], {"argnums": 0})],
    "value_and_grad": [lambda: (called(tg.value_and_grad, 2.0), [square], {"argnums": (0,)})],
    "vjp": [lambda: (tg.vjp, [square, [1.0, 2.0]], {})],
    "jacobian": [lambda: (called(tg.jacobian, [1.0, 2.0]), [square], {"argnums": 0})],
    "jvp": [lambda: (tg.jvp, [square, ([1.0, 2.0],), ([1.0, 0.0],)], {})],
    "hvp": [lambda: (tg.hvp, [square, [1.0, 2.0], [1.0, 0.0]], {})],
    "checkpoint": [lambda: (called(tg.checkpoint, Value([1.0, 2.0])), [square], {})],
    "backward": [lambda: (tg.backward, [[square(Value([1.0]))]], {"seeds": [1.0], "keep": "all"})],
    "primitive": [
        lambda: (called(tg.primitive, lambda x: 2 * x), [lambda dz, z, x: 2 * dz], {"sheet": False})
    ],
    "hessian": [lambda: (called(tg.hessian, [1.0, 2.0]), [square], {"argnums": 0})],
    "numerical_gradient": [lambda: (tg.numerical_gradient, [square, 2.0], {"eps": 1e-5})],
    "check_gradients": [
        lambda: (
            tg.check_gradients,
            [square, [1.0, 2.0]],
            {"order": 2, "eps": 1e-5, "rtol": 1e-6, "atol": 1e-6, "seed": 0},
        )
    ],
    "name_values": [lambda: (tg.name_values, [], {"w": Value(1.0)})],
    "no_grad": [
        lambda: (decorated(tg.no_grad), [], {}),
        lambda: (lambda f: tg.no_grad()(f)(2.0), [square], {}),
    ],
    "debug_nans": [lambda: (decorated(tg.debug_nans), [], {})],
    "derive": [
        lambda: (
            tg.derive,
            [cost()],
            {"wrt": "Z", "convention": "lecture", "m": 5, "every": False, "names": {}, "facts": {}},
        )
    ],
    "Derivation": [
        lambda: (lambda J, name: str(tg.derive(J)[name].why), [cost(), "dw"], {}),
        lambda: (lambda J: [tg.derive(J).to_latex(), tg.derive(J).to_numpy()], [cost()], {}),
    ],
    "collapse": [lambda: (tg.collapse, list(chain()), {})],
    "compile": [lambda: (tg.compile, [cost()], {"names": {}, "also": {}})],
    "Program": [
        lambda: (tg.compile(cost()), [], {"w": np.ones((1, 3)), "X": X}),
        lambda: (tg.compile(cost()), [], {"w": [[1, 2, 3]]}),
    ],
    "export": [
        lambda: (lambda *args, **given: tg.export(*args)(**given), [cost()], {"w": [[1.0, 2, 3]]}),
        lambda: (tg.export, [cost()], {"engine": "jax"}),
    ],
    # --- checking
    "compare": [
        lambda: (
            tg.compare,
            [cost(), {"dZ": lambda Z: 2 * Z, "dw": "dZ @ X.T / m"}],
            {"convention": "auto", "m": 5},
        ),
        lambda: (lambda J, claim: tg.compare(J, {"dZ": claim}), [cost(), np.ones((1, 5))], {}),
        lambda: (lambda J, claim: tg.compare(J, {"dw": claim}), [cost(), "2 * Z @ X.T / m"], {}),
        lambda: (
            lambda J, claim: tg.compare(J, {"dw": lambda w: claim}),
            [cost(), np.ones((1, 3))],
            {},
        ),
    ],
    "Comparison": [lambda: (lambda J, **c: str(tg.compare(J, c)), [cost()], {"dZ": "2 * Z"})],
    "assert_derivation": [
        lambda: (tg.assert_derivation, [cost(), {"dZ": "2 * Z"}], {"convention": "lecture", "m": 5})
    ],
    "check_function": [
        lambda: (tg.check_function, [by_hand, cost()], {"convention": "auto", "m": 5}),
        lambda: (tg.check_function, [lambda w: {"dw": 2 * w}, square], {"w": [1.0, 2.0]}),
        lambda: (lambda back, J: tg.check_function(lambda w: back, J), [{"dw": 2.0}, cost()], {}),
    ],
    "check_code": [lambda: (tg.check_code, [by_itself, {"w": [[1.0, 2, 3]]}], {})],
    "load_sheet": [lambda: (tg.load_sheet, ["a.sheet"], {"data": {"X": X}})],
    "check_sheet": [
        lambda: (tg.check_sheet, ["a.sheet"], {"data": {"w": [[1.0, 2, 3]]}, "convention": "auto"}),
        lambda: (lambda w: tg.check_sheet("a.sheet", {"w": w}), [[[1.0, 2.0, 3.0]]], {}),
    ],
    "check_text": [
        lambda: (
            tg.check_text,
            ["w: (1, 3)\nJ = np.sum(w)\ndw = 1 + 0 * w\n"],
            {"data": {"w": [[1.0, 2, 3]]}, "convention": "auto"},
        ),
        lambda: (lambda text: tg.check_text("w: ()\nJ = w**2\n" + text), ["dw = 2 w"], {}),
    ],
    "check_sheets": [
        lambda: (tg.check_sheets, [["a.sheet"]], {"data": None, "convention": "auto"}),
        lambda: (lambda path: tg.check_sheets([path]), ["a.sheet"], {}),
    ],
    "grade": [
        lambda: (
            tg.grade,
            ["a.sheet", {"ada": SHEET}],
            {
                "data": None, "convention": "auto", "m": None, "points": {"dw": 2.0},
                "follows": 0.5, "seed": None, "reveal": "why", "jobs": 1,
            },
        )
    ],
    # --- pictures
    "draw": [
        lambda: (
            tg.draw,
            [cost()],
            {
                "show": "both", "names": {}, "max_nodes": 9, "detail": "parts", "legend": True,
                "verdicts": {"w": "wrong"},
            },
        )
    ],
    "render": [
        lambda: (tg.render, [cost(), "a.dot"], {"title": "a title", "max_nodes": 9}),
        lambda: (tg.render, [cost(), "a.html"], {"title": "a title", "show": "both", "names": {}}),
    ],
    # --- networks
    "Layer": [lambda: (layer(nn.Layer), ["tanh"], {})],
    "Dense": [lambda: (layer(nn.Dense), [4, "tanh"], {"init": "he"})],
    "Recurrent": [lambda: (recurrent, [4], {"activation": "tanh", "init": "xavier"})],
    "Dropout": [lambda: (layer(nn.Dropout), [0.5], {})],
    "LayerNorm": [lambda: (layer(nn.LayerNorm), ["tanh"], {"eps": 1e-5})],
    "BatchNorm": [lambda: (layer(nn.BatchNorm), ["tanh"], {"eps": 1e-5, "momentum": 0.1})],
    "Network": [
        lambda: (
            lambda *a, **o: nn.Network(*a, **o).draw(),
            [3, nn.Dense(4, "tanh"), nn.Dense(1, "sigmoid")],
            {"loss": "binary_cross_entropy", "seed": 0, "rows": False, "l2": 0.1},
        ),
        lambda: (net(), [X], {"rng": np.random.default_rng(0)}),
        lambda: (net().predict, [X], {}),
        lambda: (net().classes, [X], {}),
        lambda: (net().accuracy, [X, Y], {}),
        lambda: (net().cost, [X, Y], {"rng": np.random.default_rng(0)}),
        lambda: (net().lecture_cost, [X, Y], {}),
        lambda: (net().example, [], {"m": 5}),
        lambda: (net().restore, [net().state()], {}),
        lambda: (lambda W1: net().restore({**net().state(), "W1": W1}), [np.ones((4, 3))], {}),
        lambda: (net().save, ["a.npz"], {}),
        lambda: (net().load, ["net.npz"], {}),
        lambda: (net().derive, [X, Y], {"every": True}),
        lambda: (net().draw, [X, Y], {"max_nodes": 9}),
        lambda: (net().check, [{"dZ2": "A2 - Y"}, X, Y], {"convention": "auto"}),
        lambda: (net().fit, [X, Y], {"epochs": 1}),
    ],
    "fit": [
        trained,
        lambda: trained(batch_size=2),
        lambda: trained(optimiser=nn.Adam(0.1)),
        lambda: trained(seed=3, clip=1.0),
        lambda: trained(validation=(X, Y), patience=3, tolerance=0.1),
        lambda: trained(checkpoint="run.npz", save_every=1, resume=False),
        lambda: (nn.fit, [net(), lambda epoch: [(X, Y)]], {"epochs": 1}),
        lambda: (lambda b: nn.fit(net(), lambda epoch: b, epochs=1), [[(X, Y)]], {}),
        lambda: (nn.fit, [net(), X, Y], {"epochs": 1, "callbacks": [stop]}),
    ],
    "Run": [
        lambda: (
            lambda *a, **o: Run(*a, **o).step(X, Y),
            [net(), nn.Adam()],
            {"seed": 0, "clip": 1.0, "validation": (X, Y)},
        ),
        lambda: (Run(net(), nn.Adam()).step, [X, Y], {}),
        lambda: (Run(net(), nn.Adam()).save, ["run.npz"], {}),
        lambda: (Run(net(), nn.Adam()).load, ["run.npz"], {}),
    ],
    "History": [lambda: (nn.History(CURVES).plot, ["a.svg"], {"title": "costs"})],
    "Optimiser": [
        lambda: (nn.Adam(0.1).step, [{"w": Value(1.0)}, {"t": 1}, {"w": 1.0}], {}),
        lambda: (lambda g: nn.Adam(0.1).step({"w": Value([1.0])}, None, {"w": g}), [[2.0]], {}),
    ],
    "GradientDescent": [lambda: (optimised(nn.GradientDescent), [0.1], {})],
    "Momentum": [lambda: (optimised(nn.Momentum), [0.1], {"beta": 0.9})],
    "RMSProp": [lambda: (optimised(nn.RMSProp), [0.1], {"rho": 0.9, "eps": 1e-8})],
    "Adam": [
        lambda: (optimised(nn.Adam), [0.1], {"beta1": 0.9, "beta2": 0.99, "eps": 1e-8})
    ],
    "StepDecay": [lambda: (rated(nn.StepDecay), [0.1], {"every": 2, "factor": 0.5})],
    "Cosine": [lambda: (rated(nn.Cosine), [0.1], {"steps": 4, "low": 0.0, "warmup": 2})],
    "clip_norm": [lambda: (nn.clip_norm, [{"w": np.ones(3)}, 1.0], {})],
    "norm_of": [
        lambda: (nn.norm_of, [{"w": np.ones(3)}], {}),
        lambda: (lambda g: nn.norm_of({"w": g}), [np.ones(3)], {}),
    ],
    "he": [lambda: (nn.he, [RNG, 2, 3], {})],
    "small": [lambda: (nn.small, [RNG, 2, 3], {})],
    "unscaled": [lambda: (nn.unscaled, [RNG, 2, 3], {})],
    "xavier": [lambda: (nn.xavier, [RNG, 2, 3], {})],
    "zeros": [lambda: (nn.zeros, [RNG, 2, 3], {})],
    "breast_cancer": [lambda: (nn.breast_cancer, [], {"test": 0.5, "seed": 0})],
    "digits": [lambda: (nn.digits, [], {"test": 0.5, "seed": 0})],
    "iris": [lambda: (nn.iris, [], {"test": 0.5, "seed": 0})],
    "diagnose": [lambda: (nn.diagnose, [net(), X, Y], {})],
    "Diagnosis": [lambda: (nn.diagnose(net(), X, Y).plot, ["a.svg"], {"title": "norms"})],
    "Watch": [
        lambda: (
            lambda *a, **o: nn.fit(net(), X, Y, epochs=1, callbacks=[nn.Watch(*a, **o)]),
            [X, Y],
            {"every": 1},
        )
    ],
    "RBM": [
        lambda: (nn.RBM, [3, 2], {"seed": 0}),
        lambda: (nn.RBM(3, 2).free_energy, [X], {}),
        lambda: (nn.RBM(3, 2).fit, [X], {"batch_size": 2, "epochs": 1, "seed": 0}),
        lambda: (nn.RBM(3, 2).gibbs, [X, RNG], {}),
    ],
    "pretrain": [lambda: (nn.pretrain, [deep(), X], {"batch_size": 2, "seed": 0})],
    "line_chart": [
        lambda: (
            nn.line_chart,
            ["a.svg", CURVES],
            {"title": "t", "x_label": "x", "y_label": "y", "first_x": 1, "log": True, "dashed": []},
        ),
        lambda: (lambda curve: nn.line_chart("a.svg", {"cost": curve}), [[1.0, 2.0]], {}),
    ],
    "decision_boundary": [
        lambda: (nn.decision_boundary, ["a.svg", lambda P: P[0] > 0, X[:2], Y], {"title": "t"}),
        lambda: (
            lambda p: nn.decision_boundary("a.svg", lambda P: p, X[:2], Y), [np.ones(10_000)], {}
        ),
    ],
    "plot_vanishing": [
        lambda: (nn.plot_vanishing, ["a.svg", [("tanh", "xavier")]], {"depth": 3, "seed": 0})
    ],
}  # fmt: skip
#: What holds results, is an error, or a text: nobody hands anything to it.
HELD = {
    "Batch", "CodeReport", "Collapsed", "Dataset", "GradError", "Primitive", "Rule", "SheetError",
    "SheetReport", "Value",
    "__version__",
}  # fmt: skip
#: Calls that draw or read a file at every turn: fewer of them.
SLOW = {
    "plot_vanishing", "decision_boundary", "line_chart", "digits", "History", "Diagnosis",
    "breast_cancer", "iris", "export", "grade",
}  # fmt: skip


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A folder of its own to work in, with a sheet, a network and a checkpoint."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.sheet").write_text(SHEET)
    net().save("net.npz")
    Run(net(), nn.Adam()).save("run.npz")
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def test_every_public_name_is_fuzzed():
    public = {*tg.__all__, *nn.__all__}
    assert public == {*CALLS, *OPERATIONS, *HELD}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.one_in(12)
def test_the_call_that_bad_input_is_put_into_is_a_good_one(name, desk):
    for make in CALLS[name]:
        function, args, options = make()
        if name == "Layer":  # a layer of no kind in particular has no forward
            continue
        function(*args, **options)


def spoilt(rng: np.random.Generator, call: Call) -> Call:
    """The call with one argument replaced, sometimes two; or with one too few or too many."""
    function, args, options = call
    for _ in range(rng.choice([1, 1, 1, 2])):
        places = [*range(len(args)), *(key for key in options if key != "callbacks")]
        if not places:
            args.append(material(rng))
            continue
        place = places[rng.integers(len(places))]
        if isinstance(place, int):
            args[place] = material(rng)
        else:
            options[place] = material(rng)
    kind = rng.integers(20)
    if kind == 0 and args:
        args.pop()
    if kind == 1:
        args.append(material(rng))
    if kind == 2:
        options["unknown"] = material(rng)
    return function, args, options


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.one_in(6)
def test_nothing_but_what_is_documented_escapes(name, desk):
    escaped = []
    share = -(-FUZZED // len(CALLS) // (10 if name in SLOW else 1))
    for turn in range(share):
        rng = np.random.default_rng([turn, *name.encode()])
        makers = CALLS[name]
        function, args, options = spoilt(rng, makers[turn % len(makers)]())
        try:
            function(*args, **options)
        except (*ALLOWED, OSError) as error:
            if not str(error):
                escaped.append(f"{turn}: {type(error).__name__} without a word")
        except LookupError:
            if name != "Derivation":  # derivation["dW9"]: as of a dictionary
                raise
        except AssertionError as error:
            if name not in ("check_gradients", "assert_derivation"):  # what those are for
                escaped.append(f"{turn}: AssertionError: {error}")
        except Exception as error:
            escaped.append(f"{turn}: {type(error).__name__}: {error}"[:300])
    assert not escaped, f"{len(escaped)} of {share}\n" + "\n".join(escaped[:20])


def test_a_name_with_a_nul_is_refused_by_all_that_opens_files(desk):
    for call in (tg.load_sheet, tg.check_sheet, net().load, net().save):
        with pytest.raises(GradError, match="name of a file"):
            call("a\0b")
