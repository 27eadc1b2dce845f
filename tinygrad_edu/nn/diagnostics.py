"""What happens to a gradient on its way down: norms, signs, flat units, layer by layer (S9).

In a chain of layers ``dZˡ = Wˡ⁺¹ᵀ dZˡ⁺¹ * g'(Zˡ)``, so ``‖dZˡ‖ ≤ max|g'| · ‖Wˡ⁺¹‖ · ‖dZˡ⁺¹‖``:
with a sigmoid, whose slope is at most 1/4, every layer divides by four what the weights do not
multiply.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu.core.plain import printable
from tinygrad_edu.core.primitive import GradError
from tinygrad_edu.core.shown import table
from tinygrad_edu.core.signature import Count, Natural, checked
from tinygrad_edu.core.sweep import sweep
from tinygrad_edu.nn.initialise import Array
from tinygrad_edu.nn.layers import Dense, Dropout
from tinygrad_edu.nn.network import Network
from tinygrad_edu.nn.plots import Plot, line_chart
from tinygrad_edu.nn.run import Run

#: The largest slope of each activation.
STEEPEST = {
    "none": 1.0, "linear": 1.0, "sigmoid": 0.25, "tanh": 1.0, "relu": 1.0, "leaky_relu": 1.0,
    "softplus": 1.0,
}  # fmt: skip
FLAT = 0.01  # a slope below this part of the steepest counts as flat


@dataclass(frozen=True)
class LayerDiagnosis:
    """One layer on one set of examples.

    `dZ`, `dW`: norms of the gradients. `positive`: the part of dW's numbers above zero. `flat`: the
    part of (unit, example) pairs where g' is less than 1 % of its largest: saturated sigmoids,
    inactive ReLUs. `dead`: the part of units that are flat for every example. `bound`: the most
    ‖dZ‖ could be, from the layers above; nan where there is no such bound.
    """

    number: int
    activation: str
    dZ: float
    dW: float
    positive: float
    flat: float
    dead: float
    bound: float


class Diagnosis(list[LayerDiagnosis]):
    """All layers, first to last. ``print`` it, or `plot` the norms against the layer."""

    def __repr__(self) -> str:
        norms = ", ".join(f"{d.dZ:.2g}" for d in self)
        return printable(f"<Diagnosis of {len(self)} layers, ‖dZ‖ {norms}>")

    def _repr_html_(self) -> str:
        names = ["layer", "activation", "‖dZ‖", "bound", "‖dW‖", "dW > 0", "flat", "dead"]
        rows = [
            [d.number, d.activation, *(f"{x:.2e}" for x in (d.dZ, d.bound, d.dW)),
             *(f"{x:.1%}" for x in (d.positive, d.flat, d.dead))]
            for d in self
        ]  # fmt: skip
        return table("gradients, layer by layer", names, rows)

    def __str__(self) -> str:
        lines = [
            "layer  activation      ‖dZ‖      bound       ‖dW‖   dW > 0    flat    dead",
            *(
                f"{d.number:5d}  {d.activation:<10} {d.dZ:9.2e}  {d.bound:9.2e}  {d.dW:9.2e}"
                f"  {d.positive:6.1%}  {d.flat:6.1%}  {d.dead:6.1%}"
                for d in self
            ),
        ]
        return printable("\n".join(lines))

    @checked
    def plot(
        self, path: str | os.PathLike[str] | None = None, title: str = "gradients, layer by layer"
    ) -> Plot | None:
        """‖dZˡ‖, its bound and ‖dWˡ‖ against the layer l: shown in a notebook, or, with a `path`,
        written to an SVG or PNG file."""
        curves = {"‖dZ‖": [d.dZ for d in self], "‖dW‖": [d.dW for d in self]}
        bounds = [d.bound for d in self]
        if any(map(math.isfinite, bounds)):
            curves["bound on ‖dZ‖"] = bounds
        return line_chart(
            path,
            curves,
            title=title,
            x_label="layer",
            first_x=1,
            log=True,
            dashed=["bound on ‖dZ‖"],
        )


@checked
def diagnose(net: Network, X: Any, Y: Any) -> Diagnosis:
    """The gradients of every `Dense` layer of `net` on these examples; changes nothing.

    >>> net = nn.Network(1, nn.Dense(1, "relu", init="zeros"), nn.Dense(1), seed=0)
    >>> net.parameters["b1"].data = [[-1.0]]  # never above zero: dead
    >>> nn.diagnose(net, np.ones((1, 3)), np.ones((1, 3)))[0].dead
    1.0
    """
    Z = net.before_output(X)
    gradients = sweep(net.cost_of(Z, Y), 1.0)
    at = {node.name: node for node in gradients if node.name}
    A = net.layers[-1].activate(Z)  # not on the way to the cost where that is computed from Z
    at[A.name] = A
    found = Diagnosis()
    bound = math.nan
    layers = [layer for layer in net.layers if not isinstance(layer, Dropout)]  # drops nothing here
    for layer, above in reversed(list(zip(layers, [*layers[1:], None]))):
        if not isinstance(layer, Dense):
            continue
        l = layer.number
        dZ, dW = gradients[at[f"Z{l}"]], gradients[at[f"W{l}"]]
        activation, slope = slopes(at[f"Z{l}"], at.get(f"A{l}"))
        if above is None:
            bound = float(np.linalg.norm(dZ))
        elif isinstance(above, Dense):
            bound *= STEEPEST.get(activation, math.nan) * float(np.linalg.norm(above["W"].data, 2))
        else:
            bound = math.nan  # something without such a bound lies between
        flat = slope < FLAT * STEEPEST.get(activation, 1.0)
        found.append(
            LayerDiagnosis(
                l, activation, float(np.linalg.norm(dZ)), float(np.linalg.norm(dW)),
                float(np.mean(np.asarray(dW) > 0)), float(flat.mean()),
                float(flat.all(axis=1 - net.axis).mean()), bound,
            )
        )  # fmt: skip
    found.reverse()
    return found


def slopes(Z: Any, A: Any) -> tuple[str, Array]:
    """An activation and its g'(z) at every number: its rule, for an upstream gradient of one."""
    if A is None:
        return "none", np.ones(Z.shape)
    name = "linear" if A.op.name == "positive" else A.op.name
    if name not in STEEPEST:
        return name, np.ones(Z.shape)  # softmax mixes units: it has no slope per unit
    z, a = np.asarray(A.parents[0].data), np.asarray(A.data)
    return name, np.broadcast_to(A.op.rules[0](np.ones(z.shape), a, z, **A.options), z.shape)


class Watch:
    """A callback for `fit`: diagnoses the network on fixed examples after every `every`-th step.

    Afterwards `steps` are the steps watched and `found` the `Diagnosis` of each.
    """

    @checked
    def __init__(self, X: Any, Y: Any, every: Count = 1) -> None:
        self.X, self.Y, self.every = X, Y, every
        self.steps: list[int] = []
        self.found: list[Diagnosis] = []

    def __repr__(self) -> str:
        return f"<Watch every {self.every} steps: {len(self.steps)} seen>"

    def __call__(self, run: Run) -> None:
        step = run.position.step
        if step % self.every == 0 and step not in self.steps[-1:]:
            self.steps.append(step)
            self.found.append(diagnose(run.net, self.X, self.Y))

    def history(self, what: str = "dZ") -> Array:
        """One of the numbers of `LayerDiagnosis`, (steps, layers)."""
        return np.array([[getattr(layer, what) for layer in d] for d in self.found])

    @checked
    def plot(self, path: str | os.PathLike[str] | None = None, what: str = "dZ") -> Plot | None:
        """One of the numbers against the diagnosis' place in the run, a curve per layer: shown in
        a notebook, or, with a `path`, written to an SVG or PNG file."""
        curves = {f"layer {d.number}": y for d, y in zip(self.found[0], self.history(what).T)}
        label = f"× {self.every} steps"
        log = what in ("dZ", "dW")
        return line_chart(path, curves, title=what, x_label=label, first_x=1, log=log)


def depth_profile(
    depth: int, activation: str, init: str | Any, width: int = 32, m: int = 64, seed: int = 0
) -> Diagnosis:
    """The gradients of a net of `depth` layers with random inputs and targets, before any training.

    >>> [d.number for d in depth_profile(3, "tanh", "xavier")]
    [1, 2, 3]
    """
    if depth < 2:
        raise GradError(f"depth_profile: a gradient needs layers to pass through, not {depth}")
    hidden = [Dense(width, activation, init) for _ in range(depth - 1)]
    net = Network(width, *hidden, Dense(1, "sigmoid", "xavier"), seed=seed)
    return diagnose(net, *net.example(m))


@checked
def plot_vanishing(
    path: str | os.PathLike[str],
    kinds: Sequence[tuple[str, str]] = (
        ("sigmoid", "xavier"), ("tanh", "small"), ("tanh", "xavier"), ("relu", "xavier"),
        ("relu", "he"), ("relu", "unscaled"),
    ),
    depth: int = 20,
    seed: Natural = 0,
) -> dict[str, Array]:  # fmt: skip
    """Measure how ‖dZ‖ changes from the last layer down for (activation, initialisation) pairs.

    Returns ‖dZ‖ of k layers below the last over that of the last, k = 0 … depth − 1, by kind, and
    writes all to one SVG or PNG picture together with (1/4)ᵏ, the bound of sigmoids whose weights
    have norm 1.
    """
    curves = {}
    for activation, init in kinds:
        norms = np.array([d.dZ for d in depth_profile(depth, activation, init, seed=seed)])[::-1]
        curves[f"{activation}, {init}"] = norms / norms[0]
    curves["(1/4)ᵏ"] = 0.25 ** np.arange(depth)
    line_chart(
        path, curves, title="the gradient on its way down", x_label="layers below the last, k",
        y_label="‖dZ‖ / ‖dZ‖ of the last", log=True, dashed=["(1/4)ᵏ"],
    )  # fmt: skip
    return curves
