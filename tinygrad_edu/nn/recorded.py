"""One step's cost and gradients: from a graph recorded anew, or by a program compiled once.

A program is right as long as the network would record the same graph. That is known where all code
that records is this package's own, and nothing it reads has changed: the layers and their settings,
which parameters are trained, the loss, the shapes of the data. Everything else (a layer, a loss or
an activation of one's own; batch normalisation, which keeps count) is recorded at every step.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from tinygrad_edu.core.primitive import asarray
from tinygrad_edu.core.sweep import reachable, watching
from tinygrad_edu.core.value import Value
from tinygrad_edu.nn.initialise import Array
from tinygrad_edu.nn.layers import ACTIVATIONS, Dense, Dropout, Layer, LayerNorm, Recurrent
from tinygrad_edu.nn.network import FROM_LOGITS, LOSSES, Network
from tinygrad_edu.nn.optimisers import Optimiser

Draw = Callable[[], np.random.Generator]
Kind = tuple[Any, ...]

#: Layers whose graph depends on shapes and settings, never on numbers.
_STEADY = {Dense, Recurrent, LayerNorm, Dropout}

#: How many kinds of graph are compiled in one run: each program has memory of its own.
_MOST = 8

#: How many programs are kept for later runs.
_MOST_KNOWN = 32


@dataclass
class Measured:
    """What a step needs to know: the cost J, its gradients, and the logits Zᴸ."""

    cost: float
    gradients: dict[str, Any]
    logits: Value


def recorded(net: Network, X: Any, Y: Any, rng: np.random.Generator) -> Measured:
    """Cost and gradients from a graph, each parameter's also as its `grad`.

    Of a cost that is not finite there are no gradients.
    """
    Z = net.before_output(X, rng)
    J = net.cost_of(Z, Y)
    if not math.isfinite(J.item()):
        return Measured(J.item(), {}, Z)
    J.backward(keep="leaves")
    gradients = {name: p.grad for name, p in net.parameters.items() if p.grad is not None}
    return Measured(J.item(), gradients, Z)


class Programs:
    """The programs of a run, each made when its kind of graph is first met.

    `kinds`: these kinds, as text. A run that goes on from a checkpoint is given them: programs and
    graphs agree to rounding, and it shall compute to the bit what it would have computed.
    """

    def __init__(self, optimiser: Optimiser, clip: float | None) -> None:
        self.kinds: list[str] = []
        self._optimiser, self._clip = optimiser, clip
        self._made: dict[Kind, Compiled] = {}

    def compiled(self, net: Network, X: Any, Y: Any, draw: Draw) -> Compiled | None:
        """The program for such a step; None where only a graph will do."""
        kind = kind_of(net, X, Y)
        if kind is None or watching.get() is not None:
            return None
        if kind not in self._made:
            text = repr(kind)
            if text not in self.kinds and len(self.kinds) >= _MOST:
                return None
            made = _compiled(net, X, Y, draw(), self._optimiser, self._clip)
            if made is None:
                return None
            for other in self._made.values():
                if made.moves and made.program.layout == other.program.layout:
                    made.program.layout = other.program.layout  # the same: states fit both
            self._made[kind] = made
            if text not in self.kinds:
                self.kinds.append(text)
        return self._made[kind]

    def measured(self, net: Network, X: Any, Y: Any, draw: Draw) -> Measured | None:
        """The same as `recorded`, to rounding, where there is a program for the gradients alone."""
        made = self.compiled(net, X, Y, draw)
        return None if made is None or made.moves else made.measured(net, X, Y, draw)


def kind_of(net: Network, X: Any, Y: Any) -> Kind | None:
    """What the graph of a step depends on besides numbers; None where that is not known."""
    if isinstance(X, Value) or isinstance(Y, Value):
        return None
    kind = kind_of_net(net)
    X, Y = asarray(X), asarray(Y)
    return kind and (X.shape, X.dtype.str, Y.shape, Y.dtype.str, *kind)


def kind_of_net(net: Network) -> Kind | None:
    """What of that the network decides."""
    if type(net) is not Network:
        return None
    kind = _settings(net)
    for layer in net.layers:
        if type(layer) not in _STEADY:
            return None
        kind += [type(layer).__name__, *_settings(layer), *layer.weights]
        for name, p in layer.parameters.items():
            kind += [name, p.op is None, p.requires_grad, p.shape, p.dtype.str]
    return tuple(kind)


def _settings(x: Network | Layer) -> list[Any]:
    """The settings that `x` keeps: numbers and names."""
    return [v for v in vars(x).values() if isinstance(v, (bool, int, float, str)) or v is None]


def _is_own(x: object) -> bool:
    """Is all code of `x` this package's own, no method exchanged?"""
    methods = [f for cls in type(x).__mro__[:-1] for f in vars(cls).values() if callable(f)]
    shadowed = any(hasattr(type(x), name) for name in vars(x))
    return not shadowed and all(map(_written_here, methods))


def _written_here(f: Any) -> bool:
    return str(getattr(f, "__module__", "")).startswith("tinygrad_edu.")


def steps_are_known(optimiser: Optimiser) -> bool:
    """Is the optimiser's formula this package's own, so that a program may take it over?"""
    return all(_written_here(getattr(type(optimiser), name)) for name in ("step", "update"))


def rate_is_known(optimiser: Optimiser) -> bool:
    """Is its learning rate a number, or a schedule of this package's, which looks at nothing?"""
    own = _written_here(type(optimiser).rate)
    return own and (not callable(optimiser.lr) or _written_here(type(optimiser.lr)))


@dataclass
class Compiled:
    """A program, the size of its logits, and what it has to be given besides X and Y."""

    program: Any  # a whole step, or for the gradients alone where the optimiser is one's own
    moves: bool  # a whole step?
    logits: tuple[int, ...]
    m: int
    dtype: Any
    masks: dict[str, tuple[Dropout, tuple[int, ...]]]
    parameters: list[str]

    def data(self, net: Network, X: Any, Y: Any) -> tuple[Array, Array]:
        """X and Y as the program takes them."""
        X = asarray(X)
        x = X if X.dtype.kind == "f" else X.astype(float)
        return x, np.asarray(net.target(Y, self.logits, self.dtype)._data)

    def numbers(self, net: Network, x: Array, y: Array, draw: Draw) -> list[Any]:
        """What a step is given, in its order: data, masks, and parameters that are not trained."""
        names = self.program.given
        given: dict[str, Any] = {"X": x, "Y": y}
        if len(names) > 2:
            given |= {name: p._data for name, p in net.parameters.items()} | self.drawn(draw)
        return [given[name] for name in names]

    def drawn(self, draw: Draw) -> dict[str, Array]:
        """The masks of a step, in the order of the layers."""
        if not self.masks:
            return {}
        rng = draw()
        return {
            name: layer.mask(shape, rng, self.dtype) for name, (layer, shape) in self.masks.items()
        }

    def measured(self, net: Network, X: Any, Y: Any, draw: Draw) -> Measured | None:
        """Cost and gradients; None where a number is not finite: the graph tells where that was."""
        parameters = net.parameters
        given: dict[str, Any] = {name: parameters[name] for name in self.parameters}
        given |= self.drawn(draw)
        try:
            with np.errstate(over="raise", divide="raise", invalid="raise"):
                target = net.target(Y, self.logits, self.dtype)
                cost, gradients, found = self.program(X=X, Y=target, **given)
        except FloatingPointError:
            return None
        if not math.isfinite(cost):
            return None
        for name, g in gradients.items():
            parameters[name]._grad = g
        return Measured(float(cost), gradients, Value(found["Z"], requires_grad=False))


def _compiled(
    net: Network,
    X: Any,
    Y: Any,
    rng: np.random.Generator,
    optimiser: Optimiser,
    clip: float | None,
) -> Compiled | None:
    """A program for the graph of this step; None where another step may have another graph."""
    functions: list[Any] = [
        ACTIVATIONS[layer.activation] for layer in net.layers if layer.activation
    ]
    functions += [losses[net.loss] for losses in (LOSSES, FROM_LOGITS) if net.loss in losses]
    own = isinstance(net.loss, str) and all(map(_written_here, functions))
    if not own or not all(_is_own(part) for part in (net, *net.layers)):
        return None
    import tinygrad_edu as tg

    x = Value(X, "X", requires_grad=False)
    Z = net.before_output(x, rng)
    y = net.target(Y, Z.shape, Z.dtype)
    J = net.cost_of(Z, y)
    nodes = reachable(J, every=True)[::-1]
    present = set(nodes)
    parameters = {name: p for name, p in net.parameters.items() if p in present}
    known = {x, y, *parameters.values()}
    if not J.requires_grad or len(known) < 2 + len(parameters):
        return None
    # What else was given as an array are the masks that were drawn, in the order of the layers.
    drawn = [leaf for leaf in nodes if leaf.op is None and leaf.shape and leaf not in known]
    dropouts = [layer for layer in net.layers if isinstance(layer, Dropout)]
    if [leaf.name for leaf in drawn] != [f"D{layer.number}" for layer in dropouts]:
        return None
    masks = {f"mask{i}": leaf for i, leaf in enumerate(drawn)}
    moves = steps_are_known(optimiser) and len({p.dtype for p in parameters.values()}) == 1
    key = (kind_of(net, X, Y), *functions, _formula_of(optimiser, clip) if moves else None)
    program = _known.get(key)
    if program is None:
        names = {"X": x, "Y": y, **parameters, **masks}
        given: dict[str, Any] = {"update": optimiser, "clip": clip} if moves else {}
        program = tg.compile(J, names, {"Z": Z}, **given)
        program.forget()
        _known[key] = program
        while len(_known) > _MOST_KNOWN:
            del _known[next(iter(_known))]
    needed = {name: (layer, leaf.shape) for (name, leaf), layer in zip(masks.items(), dropouts)}
    m = Z.shape[1 - net.axis]
    return Compiled(program.again(), moves, Z.shape, m, Z.dtype, needed, list(parameters))


#: Programs of earlier runs, without memory of their own: the same net is trained many times.
_known: dict[Any, Any] = {}


def _formula_of(optimiser: Optimiser, clip: float | None) -> Kind:
    """What a program knows of an optimiser: all but the rate."""
    settings = [getattr(optimiser, field.name) for field in fields(optimiser) if field.name != "lr"]
    return type(optimiser), *settings, clip
