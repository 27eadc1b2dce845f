"""How fast whole training is: the same net, examples, batches and updates by several hands.

    python -m tests.benchmarks.fits [--only F1,F4] [--by hand,fit] [--dtype float32] [--rounds 9]

All begin with the same weights, drawn beforehand, and see the same examples in the same order;
every step's cost is kept. Parameters at the end are compared (1e-9 in float64) before anything is
timed. "hand" is NumPy as tuned as it gets: rows gathered into memory of their own, ``out=``
everywhere, all parameters in one vector. Rounds are interleaved, on one thread; a ratio is the
median over rounds. What is timed is the process's own time. The first run of each, untimed, leaves
compiling out; ``--cold`` lets `fit` compile in every run. Torch and JAX take part where they are
installed.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import sys
import time
from dataclasses import dataclass, replace

import numpy as np

from .__main__ import ONE_THREAD, environment

SEED, BETA, BETA1, BETA2, EPS = 7, 0.9, 0.9, 0.999, 1e-8


@dataclass(frozen=True)
class Workload:
    """A net, its examples, and how it is trained; `batch` 0: all examples at once."""

    title: str
    examples: str
    sizes: tuple[int, ...]
    hidden: str
    batch: int
    optimiser: str
    rate: float
    epochs: int


WORKLOADS = {
    "F1": Workload("XOR, 2-4-1", "xor", (2, 4, 1), "tanh", 0, "descent", 0.5, 2000),
    "F2": Workload("breast cancer, 30-8-1", "cancer", (30, 8, 1), "tanh", 0, "descent", 0.5, 1000),
    "F3": Workload(
        "digits, 64-32-10, batches of 32, Adam",
        "digits", (64, 32, 10), "relu", 32, "adam", 1e-3, 10,
    ),
    "F4": Workload(
        "784-128-10, batches of 32, Adam, 4,096 examples",
        "random", (784, 128, 10), "relu", 32, "adam", 1e-3, 2,
    ),
    "F5": Workload(
        "784-256-128-10, batches of 128, momentum, 4,096 examples",
        "random", (784, 256, 128, 10), "relu", 128, "momentum", 0.05, 2,
    ),
}  # fmt: skip


def examples(w):
    """X (m, n0) and labels (m,)."""
    from tinygrad_edu import nn

    if w.examples == "xor":
        return np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])
    if w.examples == "random":
        r = np.random.default_rng(3)
        return r.random((4096, w.sizes[0])), r.integers(w.sizes[-1], size=4096)
    data = nn.breast_cancer() if w.examples == "cancer" else nn.digits()
    X, Y = np.hstack([data.X, data.X_test]).T, np.concatenate([data.Y, data.Y_test])
    return np.ascontiguousarray(X), Y.astype(int)


def weights(w):
    """W (units, n_in) and b (units, 1), layer after layer."""
    r, found = np.random.default_rng(5), []
    for n, units in zip(w.sizes, w.sizes[1:]):
        found += [r.normal(size=(units, n)) * np.sqrt(2 / n), np.zeros((units, 1))]
    return found


def batches(w, m, epoch):
    """Which examples, batch after batch, as `nn.fit` draws them."""
    order = np.random.default_rng([SEED, 0, epoch]).permutation(m)
    return [order[i : i + w.batch] for i in range(0, m, w.batch)]


class Hand:
    """NumPy by hand: what every ratio is over."""

    def __init__(self, w, X, labels, start):
        self.w, self.X, self.start = w, X, start
        many = w.sizes[-1] > 1
        Y = np.eye(w.sizes[-1])[labels] if many else labels[:, None]
        self.Y = np.ascontiguousarray(Y, X.dtype)

    def vector(self):
        """Memory for all parameters, and the part of each."""
        whole = np.zeros(sum(a.size for a in self.start), self.X.dtype)
        ends = np.cumsum([a.size for a in self.start])
        parts = [
            whole[e - a.size : e].reshape(a.shape) for e, a in zip(ends, self.start, strict=True)
        ]
        return whole, parts

    def memory(self, m):
        """Memory for a batch of m: X, Y, each layer's Z (then A), each layer's dZ."""
        sizes, dtype = self.w.sizes, self.X.dtype
        x = self.X if m == len(self.X) else np.empty((m, sizes[0]), dtype)
        y = self.Y if m == len(self.X) else np.empty((m, sizes[-1]), dtype)
        A = [x.T, *(np.empty((n, m), dtype) for n in sizes[1:])]
        return x, y, A, [None, *(np.empty((n, m), dtype) for n in sizes[1:])]

    def run(self):
        w, m = self.w, len(self.X)
        P, p = self.vector()
        G, g = self.vector()
        V, S, T = (self.vector()[0] for _ in range(3))
        for part, a in zip(p, self.start, strict=True):
            part[...] = a
        kept, costs, t = {}, [], 0
        for epoch in range(w.epochs):
            for chosen in batches(w, m, epoch) if w.batch else [None]:
                n = m if chosen is None else len(chosen)
                if n not in kept:
                    kept[n] = self.memory(n)
                if chosen is not None:
                    self.X.take(chosen, 0, kept[n][0], "clip")
                    self.Y.take(chosen, 0, kept[n][1], "clip")
                costs.append(self.gradients(p, g, *kept[n]))
                t += 1
                self.update(P, G, V, S, T, t)
        return [a.copy() for a in p], costs

    def gradients(self, p, g, x, y, A, D):
        """The cost; every gradient into `g`."""
        last, n, tanh = len(p) // 2, len(x), self.w.hidden == "tanh"
        for i in range(1, last + 1):
            np.dot(p[2 * i - 2], A[i - 1], A[i])
            np.add(A[i], p[2 * i - 1], A[i])
            if i < last:
                np.tanh(A[i], A[i]) if tanh else np.maximum(A[i], 0, out=A[i])
        Z, dZ, yT = A[last], D[last], y.T
        if len(Z) > 1:
            Z -= np.maximum.reduce(Z, 0)
            np.exp(Z, dZ)
            total = np.add.reduce(dZ, 0)
            cost = np.add.reduce(np.log(total)) - np.vdot(yT, Z)
            dZ /= total
        else:
            np.abs(Z, dZ)
            np.exp(np.negative(dZ, dZ), dZ)
            cost = np.log1p(dZ).sum() + np.maximum(Z, 0).sum() - np.vdot(Z, yT)
            dZ[...] = np.where(Z >= 0, 1.0, dZ) / (1.0 + dZ)
        dZ -= yT
        dZ *= 1 / n
        for i in range(last, 0, -1):
            np.dot(dZ, A[i - 1].T, g[2 * i - 2])
            np.add.reduce(dZ, 1, None, g[2 * i - 1], True)
            if i > 1:
                d, a = np.dot(p[2 * i - 2].T, dZ, D[i - 1]), A[i - 1]
                if tanh:
                    np.multiply(a, a, a)
                    np.multiply(d, np.subtract(1.0, a, a), d)
                else:
                    np.multiply(d, a > 0, d)
                dZ = d
        return float(cost / n)

    def update(self, P, G, V, S, T, t):
        """A step of the optimiser on all parameters, in place."""
        rate = self.w.rate
        if self.w.optimiser == "descent":
            G *= rate
            P -= G
        elif self.w.optimiser == "momentum":
            V *= BETA
            V += G
            P -= np.multiply(V, rate, T)
        else:
            V *= BETA1
            V += np.multiply(G, 1 - BETA1, T)
            S *= BETA2
            np.multiply(G, G, T)
            T *= 1 - BETA2
            S += T
            np.sqrt(S, T)
            T *= 1 / (1 - BETA2**t) ** 0.5
            T += EPS
            np.divide(V, T, T)
            T *= rate / (1 - BETA1**t)
            P -= T


class Fit:
    """``net.fit(X, Y)`` of this package, examples as columns."""

    def __init__(self, w, X, labels, start, **options):
        from tinygrad_edu import nn

        many = w.sizes[-1] > 1
        self.w, self.options = w, options
        self.X, self.Y = np.ascontiguousarray(X.T), labels if many else labels.astype(X.dtype)
        names = [f"{letter}{i + 1}" for i in range(len(start) // 2) for letter in "Wb"]
        self.start = dict(zip(names, start, strict=True))
        self.optimiser = {
            "descent": nn.GradientDescent(w.rate), "momentum": nn.Momentum(w.rate, BETA),
            "adam": nn.Adam(w.rate, BETA1, BETA2, EPS),
        }[w.optimiser]  # fmt: skip
        top = nn.Dense(w.sizes[-1], "softmax" if many else "sigmoid")
        self.net = nn.Network(w.sizes[0], *(nn.Dense(n, w.hidden) for n in w.sizes[1:-1]), top)

    def run(self):
        w, net = self.w, self.net
        net.restore(self.start)
        history = net.fit(
            self.X, self.Y, epochs=w.epochs, batch_size=w.batch or None, seed=SEED,
            optimiser=self.optimiser, progress=False, **self.options,
        )  # fmt: skip
        return [np.asarray(p.data) for p in net.parameters.values()], history["step_cost"]


class Watched(Fit):
    """The same with a callback, which is shown the parameters after every step."""

    def __init__(self, *args):
        super().__init__(*args, callbacks=[lambda run: None])


class Torch:
    """The usual loop of PyTorch, its optimisers fused."""

    def __init__(self, w, X, labels, start):
        import torch

        torch.set_num_threads(1)
        self.torch, self.w, self.start, self.X = torch, w, start, torch.tensor(X)
        many = w.sizes[-1] > 1
        self.Y = torch.tensor(labels if many else labels.astype(X.dtype)[:, None])
        nn, layers = torch.nn, []
        for n, units in zip(w.sizes, w.sizes[1:]):
            layers += [nn.Linear(n, units, dtype=self.X.dtype)]
            layers += [nn.Tanh() if w.hidden == "tanh" else nn.ReLU()]
        self.net = nn.Sequential(*layers[:-1])

    def run(self):
        torch, w, nn, net = self.torch, self.w, self.torch.nn, self.net
        with torch.no_grad():
            for p, a in zip(net.parameters(), self.start, strict=True):
                p.copy_(torch.from_numpy(a.reshape(p.shape)))
        loss = nn.CrossEntropyLoss() if w.sizes[-1] > 1 else nn.BCEWithLogitsLoss()
        if w.optimiser == "adam":
            step = torch.optim.Adam(net.parameters(), w.rate, (BETA1, BETA2), EPS, fused=True)
        else:
            momentum = BETA if w.optimiser == "momentum" else 0.0
            step = torch.optim.SGD(net.parameters(), w.rate, momentum, fused=True)
        costs = []
        for epoch in range(w.epochs):
            for chosen in batches(w, len(self.X), epoch) if w.batch else [slice(None)]:
                J = loss(net(self.X[chosen]), self.Y[chosen])
                step.zero_grad()
                J.backward()
                step.step()
                costs.append(J.item())
        found = [p.detach().numpy() for p in net.parameters()]
        return [a.reshape(b.shape) for a, b in zip(found, self.start, strict=True)], costs


class Jax:
    """One jitted function for a step, its state handed on."""

    def __init__(self, w, X, labels, start):
        import jax
        import jax.numpy as jnp

        jax.config.update("jax_enable_x64", True)
        self.w, self.start, self.jnp, hand = w, start, jnp, Hand(w, X, labels, start)
        self.X, self.Y = jnp.asarray(X), jnp.asarray(hand.Y)

        def cost(p, x, y):
            A = x.T
            for i in range(0, len(p), 2):
                Z = p[i] @ A + p[i + 1]
                A = jnp.tanh(Z) if w.hidden == "tanh" else jnp.maximum(Z, 0)
            if w.sizes[-1] > 1:
                return jnp.mean(jax.nn.logsumexp(Z, axis=0) - jnp.sum(y.T * Z, axis=0))
            return jnp.mean(jax.nn.softplus(Z) - Z * y.T)

        def step(state, chosen):
            p, v, s, t = state
            x, y = (self.X[chosen], self.Y[chosen]) if w.batch else (self.X, self.Y)
            J, g = jax.value_and_grad(cost)(p, x, y)
            t = t + 1
            if w.optimiser == "descent":
                p = [a - w.rate * d for a, d in zip(p, g)]
            elif w.optimiser == "momentum":
                v = [BETA * a + d for a, d in zip(v, g)]
                p = [a - w.rate * b for a, b in zip(p, v)]
            else:
                v = [BETA1 * a + (1 - BETA1) * d for a, d in zip(v, g)]
                s = [BETA2 * a + (1 - BETA2) * d * d for a, d in zip(s, g)]
                one, two = 1 - BETA1**t, 1 - BETA2**t
                p = [
                    (a - w.rate * (b / one) / (jnp.sqrt(c / two) + EPS)).astype(a.dtype)
                    for a, b, c in zip(p, v, s)
                ]
            return (p, v, s, t), J

        self.step = jax.jit(step, donate_argnums=0)

    def run(self):
        jnp, w = self.jnp, self.w
        p = [jnp.array(a) for a in self.start]
        v = [jnp.zeros_like(a) for a in p] if w.optimiser != "descent" else []
        s = [jnp.zeros_like(a) for a in p] if w.optimiser == "adam" else []
        state, costs = (p, v, s, jnp.zeros((), self.X.dtype)), []
        for epoch in range(w.epochs):
            for chosen in batches(w, len(self.X), epoch) if w.batch else [0]:
                state, J = self.step(state, chosen)
                costs.append(J)
        return [np.asarray(a) for a in state[0]], [float(J) for J in costs]


BY = {"hand": Hand, "fit": Fit, "fit watched": Watched, "torch": Torch, "jax-jit": Jax}


def checked(found, expected, dtype):
    """Raise where parameters or costs are not those of the hand-written loop."""
    tolerance = 1e-9 if dtype == "float64" else 2e-2
    for a, b in zip([*found[0], found[1][-1]], [*expected[0], expected[1][-1]], strict=True):
        off = np.abs(np.subtract(a, b)).max() / max(1.0, np.abs(b).max())
        assert np.shape(a) == np.shape(b), "parameters of other shapes"
        assert off <= tolerance, f"parameters or costs differ by {off:.2g}"
    assert {a.dtype for a in found[0]} == {np.dtype(dtype)}, "another dtype"


def prepared(name, by, dtype="float64", epochs=None):
    """A workload and those who can run it, their results compared."""
    w = WORKLOADS[name] if epochs is None else replace(WORKLOADS[name], epochs=epochs)
    X, labels = examples(w)
    X, start = X.astype(dtype), [a.astype(dtype) for a in weights(w)]
    expected, found = Hand(w, X, labels, start).run(), {}
    for key in by:
        try:
            made = BY[key](w, X, labels, start)
        except ImportError:
            continue
        checked(made.run(), expected, dtype)
        found[key] = made
    return found, len(expected[1])


def measured(made, rounds, cold=False):
    """Seconds of each round, interleaved."""
    from tinygrad_edu.nn import recorded

    times = {key: [] for key in made}
    for _ in range(rounds):
        for key, one in made.items():
            if cold:
                recorded._known.clear()
            gc.collect()
            start = time.process_time()
            one.run()
            times[key].append(time.process_time() - start)
    return times


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.fits", description=__doc__)
    parser.add_argument("--only", default=",".join(WORKLOADS))
    parser.add_argument("--by", default=",".join(BY))
    parser.add_argument("--dtype", default="float64", choices=["float64", "float32"])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--cold", action="store_true", help="compile in every run")
    given = parser.parse_args()
    for name in given.only.split(","):
        made, steps = prepared(
            name, ["hand", *given.by.replace("hand,", "").split(",")], given.dtype
        )
        times = measured(made, given.rounds, given.cold)
        print(f"\n**{name}** {WORKLOADS[name].title}, {given.dtype}, {steps:,} steps\n")
        print("| | µs per step | over hand (lowest–highest) |\n|---|---|---|")
        for key, all_ in times.items():
            ratios = [a / b for a, b in zip(all_, times["hand"], strict=True)]
            print(
                f"| {key} | {min(all_) / steps * 1e6:.1f} | {statistics.median(ratios):.2f} "
                f"({min(ratios):.2f}–{max(ratios):.2f}) |",
                flush=True,
            )


if __name__ == "__main__":
    threads = {
        "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
        "JAX_PLATFORMS": "cpu",
    }
    if any(os.environ.get(variable) != "1" for variable in ONE_THREAD):
        # NumPy reads this when it is imported, which has happened: begin again.
        os.execve(  # noqa: S606
            sys.executable, [sys.executable, "-m", __spec__.name, *sys.argv[1:]],
            environment() | threads,
        )  # fmt: skip
    main()
