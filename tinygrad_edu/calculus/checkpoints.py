"""Memory for time: what a function computes is forgotten, and computed again when it is needed."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinygrad_edu.calculus.functions import as_values
from tinygrad_edu.core import sweep as sweeping
from tinygrad_edu.core.branches import Certain
from tinygrad_edu.core.primitive import Each, GradError, Primitive, Traced
from tinygrad_edu.core.recording import recorded
from tinygrad_edu.core.signature import checked
from tinygrad_edu.core.sweep import reachable
from tinygrad_edu.core.value import Value, described


@checked
def checkpoint(f: Callable[..., Any]) -> Callable[..., Any]:
    """`f`, a function of Values that gives a Value, as one node of the graph.

    Nothing of what it computes on the way is kept: the backward sweep calls it once more (T. Chen
    and others, "Training deep nets with sublinear memory cost", 2016). Gradients are the same, of
    every order. `f` must give the same numbers each time, and get all it is differentiated by as
    arguments.

    Raises GradError where it uses another Value that needs a gradient, or gives other numbers the
    second time; TypeError where it gives no Value.

    >>> w = tg.Value(2.0)
    >>> tg.checkpoint(lambda x: tg.exp(x * x) / x)(w).backward()
    >>> w.grad == tg.grad(lambda x: tg.exp(x * x) / x)(2.0)
    True
    """

    @functools.wraps(f)
    def call(*args: Any, **options: Any) -> Any:
        places = [i for i, x in enumerate(args) if isinstance(x, (Value, np.ndarray, float))]
        if not any(isinstance(args[i], Value) for i in places):
            return f(*args, **options)

        def inside(*inputs: Any) -> Any:
            given = list(args)
            for i, x in zip(places, inputs, strict=True):
                given[i] = x
            with recorded():
                out = f(*given, **options)
            if not isinstance(out, Value):
                raise TypeError(f"checkpoint: {name} returned {type(out).__name__}, not a Value")
            return out

        name = getattr(f, "__name__", "the function")
        return _as_one(name, inside)(*(args[i] for i in places))

    return call


def _as_one(name: str, inside: Callable[..., Value]) -> Primitive:
    """A function of Values as an operation that runs it anew for its rule."""

    def forward(*xs: Any) -> Any:
        leaves = [Value(x) for x in xs]
        out = inside(*leaves)
        for node in reachable(out):
            if node.op is None and node._created < leaves[0]._created:
                raise GradError(
                    f"checkpoint: {name} also uses {described(node)}, whose gradient would be "
                    "lost: make it an argument"
                )
        return np.array(out._data)

    def rule(dz: Any, z: Any, *inputs: Any) -> Iterator[Any]:
        if isinstance(z, Value):
            with recorded():
                own = [+x for x in inputs]
            found = sweeping.sweep(inside(*own), dz, as_values, wrt=frozenset(own))
            return (found.get(x) for x in own)
        if isinstance(z, Certain):
            return map(Certain, rule(dz.data, z.data, *(x.data for x in inputs)))
        if isinstance(z, Traced):
            raise GradError(
                f"what {name} computes is not recorded, as it is a checkpoint: for its lines, or a "
                "program, call the function itself"
            )
        own = [Value(x) for x in inputs]
        out = inside(*own)
        if not np.array_equal(out._data, z, equal_nan=True):
            raise GradError(f"checkpoint: {name} gives other numbers each time it is called")
        found = sweeping.sweep(out, dz, wrt=frozenset(own))
        return (found.get(x, np.zeros_like(x._data)) for x in own)

    forward.__name__ = name
    return Primitive(forward, Each(rule), shape=lambda *shapes: ())
