"""S3: what a derivative is, and the update."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu.core.ops.table import TABLE
from tinygrad_edu.core.primitive import Primitive
from tinygrad_edu.drawing.plots import Html
from tinygrad_edu.lecture import lesson_page, s3_plots
from tinygrad_edu.lecture.formulas import two_layers
from tinygrad_edu.lecture.nets import network
from tinygrad_edu.lecture.report import Report, difference, verdict
from tinygrad_edu.lecture.tex import math
from tinygrad_edu.lecture.ways import Line

EPSILON = 1e-5
TOLERANCE = 1e-7  # of a central difference in double precision, with numbers around 1
ALPHA = 0.5


def run(report: Report) -> None:
    """Every weight of a small net, one update, and the same test for every operation there is."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(2, 6))  # 6 examples
    Y = (rng.random((1, 6)) < 0.5).astype(float)
    start: dict[str, Any] = {
        "W1": rng.normal(size=(3, 2)), "b1": rng.normal(size=(3, 1)),
        "W2": rng.normal(size=(1, 3)), "b2": rng.normal(size=(1, 1)),
    }  # fmt: skip
    J, parameters = network(X, Y, **start)
    J.backward()

    def cost(*weights: Any) -> float:
        """The cost in plain NumPy, as a function of the weights alone."""
        return float(two_layers(X, Y, *weights)["J"])

    by_hand = two_layers(X, Y, **start)
    rows, lines = [], []
    numerical = tg.numerical_gradient(cost, *start.values(), eps=EPSILON)
    for (name, parameter), central in zip(parameters.items(), numerical):
        for index in np.ndindex(parameter.shape):
            label = f"d{name}[{index[0] + 1},{index[1] + 1}]"
            slope, automatic = central[index], parameter.grad[index]
            right = difference(slope, automatic) <= TOLERANCE
            if not right:
                report.fail(label)
            rows.append((label, slope, automatic, f"{abs(slope - automatic):.1e}", verdict(right)))
            lines.append(
                _line(label, name, index, by_hand[f"d{name}"][index], automatic, slope, right)
            )
    report.table(
        f"every weight, one at a time, ε = {EPSILON:g}",
        ("", "central difference", "automatic", "difference", "verdict"),
        rows,
    )

    for parameter in parameters.values():
        parameter.data -= ALPHA * parameter.grad
    report.agree(
        f"one update, w ← w − α dw with α = {ALPHA}",
        [(f"{name} after", start[name] - ALPHA * by_hand[f"d{name}"], parameter.data)
         for name, parameter in parameters.items()],
        brief=True,
    )  # fmt: skip
    after, _ = network(X, Y, **{name: parameter.data for name, parameter in parameters.items()})
    report.say(f"cost before {J.item():.6f}, after {after.item():.6f}")
    if not after.item() < J.item():
        report.fail("the cost after one update")
    count, wrong = _every_operation(report)
    if report.page is not None:
        report.show(
            {
                **s3_plots.shown(report, ALPHA, EPSILON),
                "count": count, "matching": count - len(wrong),
                "wrongrules": Html(", ".join(f"<code>{name}</code>" for name, *_ in wrong)),
                "weights": lesson_page.judged(report.words, lines, _said(report)),
            }
        )  # fmt: skip
    report.picture("network", J)


def _line(
    label: str,
    name: str,
    index: tuple[int, ...],
    hand: Any,
    automatic: Any,
    slope: Any,
    right: bool,
) -> Line:
    letter, layer = name[0], name[1]
    indices = f"{index[0] + 1}{index[1] + 1}" if letter == "W" else f"{index[0] + 1}"
    typeset = Html(math(f"d{letter.lower()}_{{{indices}}}^{{[{layer}]}}"))
    return Line(label, name, label, typeset, hand, automatic, slope, right)


def _said(report: Report) -> str:
    return report.words.said("s3.weights", {"eps": f"{EPSILON:g}"})


#: What an operation needs besides its inputs, which are arrays of shape (3, 4).
SHAPES: dict[str, list[tuple[int, ...]]] = {
    "matmul": [(3, 4), (4, 2)], "over_gaps": [(2, 3), (3,), (2,)], "windows_summed": [(3, 2)],
    "qr_part": [(4, 3)],
    **{name: [(3, 3)] for name in ("inv", "det", "cofactors", "log_abs_det", "eigh_part")},
    "cholesky_factor": [(3, 3)],
}  # fmt: skip
OPTIONS: dict[str, dict[str, Any]] = {
    "power_constant": {"n": 3},
    "power_log": {"logs": 1},
    "clip": {"min": -0.5, "max": 0.5},
    "reshape": {"shape": (2, 6)},
    "broadcast_to": {"shape": (2, 3, 4)},
    "sum_to": {"shape": (3, 1)},
    "getitem": {"index": [0, 2, 2]},
    "joined": {"axis": 1},
    "softmax": {"axis": 0},
    "log_softmax": {"axis": 1},
    "prod_of_others": {"axis": 1},
    "sinc_slope": {"order": 1},
    "picked_along": {"axis": 1},
    "placed_along": {"axis": 1, "n": 5},
    "scatter": {"index": [0, 2, 2], "shape": (5, 4)},
    **{name: {"part": 1} for name in ("eigh_part", "svd_part", "qr_part")},
    "windows": {"lengths": (2,), "axes": (1,)},
    "windows_summed": {"lengths": (2,), "axes": (0,), "shape": (4,)},
}


def _every_operation(report: Report) -> tuple[int, list[tuple[Any, ...]]]:
    """The derivative rule of every operation, for a random upstream gradient."""
    wrong: list[tuple[Any, ...]] = []
    count = 0
    for op in TABLE.values():
        if not op.differentiable:
            continue
        rng = np.random.default_rng(list(op.name.encode()))  # whatever other operations there are
        for i, automatic, numerical in _each_rule(op, rng):
            count += 1
            error = difference(numerical, automatic)
            if error > TOLERANCE:
                name = f"{op.name}, input {i}" if op.n_inputs != 1 else op.name
                report.fail(f"the rule of {name}")
                wrong.append((name, f"{error:.1e}", verdict(False)))
    report.say(
        f"\nThe same test for each of the {count} derivative rules of the package: "
        + (f"{len(wrong)} do not match." if wrong else "all match.")
    )
    if wrong:
        report.table("rules that do not match", ("rule", "difference", "verdict"), wrong)
    return count, wrong


def _each_rule(op: Primitive, rng: np.random.Generator) -> Iterator[tuple[int, Any, Any]]:
    """For each input with a rule: its number, its automatic gradient, its central difference."""
    options = OPTIONS.get(op.name, {})
    inputs = _inputs(op, options, rng)
    values = [tg.Value(x) for x in inputs]
    z = op(*values, **options)
    upstream = rng.normal(size=z.shape)
    z.backward(seed=upstream)
    numerical = tg.numerical_gradient(
        lambda *xs: float(np.sum(upstream * op(*xs, **options))), *inputs, eps=EPSILON
    )
    if len(inputs) == 1:
        numerical = (numerical,)
    for i, (rule, value, slope) in enumerate(zip(op.rules, values, numerical), start=1):
        if rule is not None:
            yield i, value.grad, slope


def _inputs(op: Primitive, options: dict[str, Any], rng: np.random.Generator) -> list[Any]:
    """Numbers of both signs, away from 0; between 0 and 1, or 1 and 2, where needed; a mask where
    no rule is."""
    shapes = SHAPES.get(op.name, [(3, 4)] * (op.n_inputs or 2))
    inputs = [rng.uniform(0.2, 0.8, size=shape) for shape in shapes]
    if op.name == "cholesky_factor":  # of a matrix whose diagonal is large
        return [inputs[0] + 2 * np.eye(3)]
    if op.name == "over_gaps":  # of two sorts of numbers that are nowhere near to one another
        return [inputs[0], inputs[1], inputs[2] + 1]
    inputs = [np.round(x) if rule is None else x for rule, x in zip(op.rules, inputs)]
    signed = [x * rng.choice([-1, 1], size=x.shape) for x in inputs]
    with np.errstate(all="ignore"):
        for numbers in (signed, inputs):
            if np.isfinite(op(*numbers, **options)).all():
                return numbers
    return [x + 1 for x in inputs]
