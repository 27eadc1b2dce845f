"""The frameworks that are compared, each imported where it is used; the missing are left out.

`numbers()` gives what scalar programs are written with, and ``with_gradients(program)``: a function
from a list of floats to the value and a list of gradients. `network(kind, arrays)` gives an object
with ``gradients()`` and ``step()``. `dot_text(sizes)` gives a function that writes a graph as DOT.
"""

from __future__ import annotations

import math
import time
from types import SimpleNamespace

import numpy as np

from . import workloads

NAMES = ("W1", "b1", "W2", "b2")


class Hand:
    """No framework: plain floats, and the lecture's lines in NumPy."""

    imports = "numpy"

    def numbers(self):
        by_hand = {
            "network_step": workloads.network_by_hand,
            "wired_step": workloads.wired_by_hand,
            "tanh_chain": workloads.tanh_chain_by_hand,
        }
        none = SimpleNamespace(constant=float, tanh=None, relu=None)
        none.with_gradients = lambda program: by_hand.get(program.__qualname__.split(".")[0])
        return none

    network = staticmethod(workloads.ByHand)

    @staticmethod
    def convolution(**arrays):
        return lambda: workloads.convolution_by_hand(**arrays)


class Eager:
    """tinygrad_edu as one writes it: a graph recorded anew for every step."""

    imports = "tinygrad_edu"
    keep = "all"

    def numbers(self):
        import tinygrad_edu as tg

        def with_gradients(program):
            def run(parameters):
                values = [tg.Value(x) for x in parameters]
                cost = program(values)
                cost.backward()
                return cost.item(), [v.grad for v in values]

            return run

        return SimpleNamespace(
            constant=lambda x: tg.Value(x, requires_grad=False), tanh=tg.tanh, relu=tg.relu,
            with_gradients=with_gradients,
        )  # fmt: skip

    @staticmethod
    def cost(kind, values, Y):
        import tinygrad_edu as tg

        Z2 = values["W2"] @ tg.tanh(values["W1"] @ values["X"] + values["b1"]) + values["b2"]
        if kind == "logits":
            return tg.mean(tg.binary_cross_entropy(Z2, Y, from_logits=True))
        return tg.mean(tg.cross_entropy(Z2, Y, axis=0))

    def network(self, kind, arrays):
        import tinygrad_edu as tg

        values = {k: tg.Value(x, k, requires_grad=k in NAMES) for k, x in arrays.items()}
        Y = values["Y"]

        def backward():
            cost = self.cost(kind, values, Y)
            cost.backward(keep=self.keep)
            return cost.item()

        def gradients():
            cost, found = backward(), {k: values[k].grad for k in NAMES}
            for k in NAMES:
                values[k].zero_grad()
            return cost, found

        def step():
            cost = backward()
            for k in NAMES:
                p = values[k]
                p.data -= workloads.RATE * p.grad
                p.zero_grad()
            return cost

        return SimpleNamespace(gradients=gradients, step=step)

    def convolution(self, D, **arrays):
        import tinygrad_edu as tg

        values = {k: tg.Value(x, k) for k, x in arrays.items()}
        D = tg.Value(D, "D", requires_grad=False)

        def run():
            cost = tg.sum(tg.conv2d(values["X"], values["W"], values["b"]) * D)
            cost.backward(keep=self.keep)
            found = {k: v.grad for k, v in values.items()}
            for v in values.values():
                v.zero_grad()
            return cost.item(), found

        return run

    def dot_text(self, sizes):
        import tinygrad_edu as tg

        numbers = self.numbers()
        parameters = [tg.Value(x) for x in workloads.network_parameters(sizes)]
        point = [numbers.constant(0.5), numbers.constant(-0.25)]
        (cost,) = workloads.forward(numbers, parameters, point, sizes)
        cost.backward()
        return lambda: tg.draw(cost, max_nodes=None).source


class Leaves(Eager):
    """The same, the gradients of what is computed on the way forgotten at once."""

    imports = numbers = dot_text = None
    keep = "leaves"


class Compiled(Eager):
    """tinygrad_edu's compiled programs: recorded once, then run."""

    imports = None
    dot_text = None

    def numbers(self):
        import tinygrad_edu as tg

        numbers = super().numbers()

        def with_gradients(program):
            made = []

            def run(parameters):
                if not made:
                    values = [tg.Value(x) for x in parameters]
                    made.append(tg.compile(program(values), names={"p": values}))
                cost, found = made[0](p=parameters)
                return cost, found["p"].tolist()

            return run

        numbers.with_gradients = with_gradients
        return numbers

    def graph_of(self, make, parameters):
        """Seconds of one step by graph."""
        run = super().numbers().with_gradients(make(super().numbers()))
        start = time.perf_counter()
        run(parameters)
        return time.perf_counter() - start

    def compiled(self, make, parameters):
        """Seconds to record, to compile, and of one step of the program."""
        import tinygrad_edu as tg

        start = time.perf_counter()
        values = [tg.Value(x) for x in parameters]
        cost = make(super().numbers())(values)
        recorded = time.perf_counter()
        program = tg.compile(cost, names={"p": values})
        compiled = time.perf_counter()
        program(p=parameters)
        first = time.perf_counter()
        for _ in range(10):
            program(p=parameters)
        steps = (time.perf_counter() - first) / 10
        return recorded - start, compiled - recorded, steps

    def convolution(self, D, **arrays):
        import tinygrad_edu as tg

        values = {k: tg.Value(x, k) for k, x in arrays.items()}
        upstream = tg.Value(D, "D", requires_grad=False)
        cost = tg.sum(tg.conv2d(values["X"], values["W"], values["b"]) * upstream)
        program = tg.compile(cost)
        return lambda: program(D=D, **arrays)

    def network(self, kind, arrays):
        import tinygrad_edu as tg

        given = {k: arrays[k].copy() for k in NAMES}
        values = {k: tg.Value(x, k, requires_grad=k in NAMES) for k, x in arrays.items()}
        program = tg.compile(self.cost(kind, values, values["Y"]))
        given_data = {"X": arrays["X"], "Y": arrays["Y"]}

        def gradients():
            return program(**given, **given_data)

        def step():
            cost, found = program(**given, **given_data)
            for k, p in given.items():
                d = found[k]
                d *= workloads.RATE
                p -= d
            return cost

        return SimpleNamespace(gradients=gradients, step=step)


class Micrograd:
    """micrograd: a Value per number, closures for the rules."""

    imports = "micrograd.engine"
    recursive = True

    def numbers(self):
        from micrograd.engine import Value

        def tanh(v):  # the package has none; written in the manner of its relu
            t = math.tanh(v.data)
            out = Value(t, (v,), "tanh")

            def _backward():
                v.grad += (1 - t * t) * out.grad

            out._backward = _backward
            return out

        def with_gradients(program):
            def run(parameters):
                values = [Value(x) for x in parameters]
                cost = program(values)
                cost.backward()
                return cost.data, [v.grad for v in values]

            return run

        return SimpleNamespace(
            constant=Value, tanh=tanh, relu=Value.relu, with_gradients=with_gradients
        )


class Torch:
    """PyTorch in float64 on one thread."""

    imports = "torch"

    def numbers(self):
        import torch

        def with_gradients(program):
            def run(parameters):
                values = [
                    torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in parameters
                ]
                cost = program(values)
                cost.backward()
                return cost.item(), [v.grad.item() for v in values]

            return run

        return SimpleNamespace(
            constant=lambda x: torch.tensor(x, dtype=torch.float64), tanh=torch.tanh,
            relu=torch.relu, with_gradients=with_gradients,
        )  # fmt: skip

    def network(self, kind, arrays):
        import torch
        import torch.nn.functional as F

        torch.set_num_threads(1)
        p = {k: torch.tensor(arrays[k], requires_grad=True) for k in NAMES}
        X, Y = torch.tensor(arrays["X"]), torch.tensor(arrays["Y"])
        m = X.shape[1]

        def backward():
            Z2 = p["W2"] @ torch.tanh(p["W1"] @ X + p["b1"]) + p["b2"]
            if kind == "logits":
                cost = F.binary_cross_entropy_with_logits(Z2, Y, reduction="sum") / m
            else:
                cost = -(Y * F.log_softmax(Z2, 0)).sum() / m
            cost.backward()
            return cost.item()

        def gradients():
            cost, found = backward(), {k: v.grad.numpy().copy() for k, v in p.items()}
            for v in p.values():
                v.grad = None
            return cost, found

        def step():
            cost = backward()
            with torch.no_grad():
                for v in p.values():
                    v -= workloads.RATE * v.grad
                    v.grad = None
            return cost

        return SimpleNamespace(gradients=gradients, step=step)

    def convolution(self, D, **arrays):
        import torch
        import torch.nn.functional as F

        torch.set_num_threads(1)
        p = {k: torch.tensor(x, requires_grad=True) for k, x in arrays.items()}
        D = torch.tensor(D)

        def run():
            cost = (F.conv2d(p["X"], p["W"], p["b"]) * D).sum()
            cost.backward()
            found = {k: v.grad.numpy() for k, v in p.items()}
            for v in p.values():
                v.grad = None
            return cost.item(), found

        return run


class Autograd:
    """HIPS autograd: NumPy, traced."""

    imports = "autograd.numpy"

    def numbers(self):
        import autograd.numpy as anp
        from autograd import value_and_grad

        def with_gradients(program):
            both = value_and_grad(lambda p: program(list(p)))

            def run(parameters):
                cost, found = both(tuple(parameters))
                return float(cost), [float(g) for g in found]

            return run

        return SimpleNamespace(
            constant=float, tanh=anp.tanh, relu=lambda v: v * (v > 0), with_gradients=with_gradients
        )

    def network(self, kind, arrays):
        import autograd.numpy as anp
        from autograd import value_and_grad

        return _functional(kind, arrays, anp, value_and_grad)


class JaxJit:
    """JAX, compiled by XLA, in float64."""

    imports = "jax"

    def network(self, kind, arrays):
        import jax

        jax.config.update("jax_enable_x64", True)
        return _functional(
            kind, arrays, jax.numpy, lambda f: jax.jit(jax.value_and_grad(f)), jax.block_until_ready
        )


def _functional(kind, arrays, xp, value_and_grad, ready=lambda x: x):
    """A network for frameworks that differentiate functions of NumPy-like arrays."""
    X, Y = xp.array(arrays["X"]), xp.array(arrays["Y"])
    p = {k: xp.array(arrays[k]) for k in NAMES}
    m = X.shape[1]

    def cost(p):
        Z2 = p["W2"] @ xp.tanh(p["W1"] @ X + p["b1"]) + p["b2"]
        if kind == "logits":
            loss = xp.maximum(Z2, 0) - Y * Z2 + xp.log1p(xp.exp(-xp.abs(Z2)))
            return xp.sum(loss) / m
        shifted = Z2 - xp.max(Z2, axis=0, keepdims=True)
        return -xp.sum(Y * (shifted - xp.log(xp.sum(xp.exp(shifted), axis=0)))) / m

    both = value_and_grad(cost)

    def gradients():
        value, found = both(p)
        return float(value), {k: np.asarray(g) for k, g in found.items()}

    def step():
        value, found = both(p)
        for k in p:
            p[k] = p[k] - workloads.RATE * found[k]
        ready(p["W1"])
        return float(value)

    return SimpleNamespace(gradients=gradients, step=step)


FRAMEWORKS = {
    "hand": Hand, "tinygrad_edu": Eager, "keep='leaves'": Leaves, "compiled": Compiled,
    "micrograd": Micrograd, "torch": Torch, "autograd": Autograd, "jax-jit": JaxJit,
}  # fmt: skip
