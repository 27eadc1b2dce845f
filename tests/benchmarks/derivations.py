"""How long `derive` takes for long graphs: processor time, and how many lines it gives.

    python -m tests.benchmarks.derivations [--steps 2000] [--only sigmoid]

A chain of operations is derived on one number and on an array, without names and with every 20th
quantity named; so is a net of 64 layers. Each is derived once in a fresh state: nothing is cached
between derivations.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

import tinygrad_edu as tg

#: A step of a chain, of what it has reached, a parameter, what it started from, and its place.
STEPS = {
    "tanh": lambda y, w, x, i: tg.tanh(y),
    "sigmoid": lambda y, w, x, i: tg.sigmoid(y),
    "times a number": lambda y, w, x, i: y * 1.01,
    "plus a number": lambda y, w, x, i: y + 0.1,
    "tanh of times w, plus x": lambda y, w, x, i: tg.tanh(y * w) if i % 2 else y + x,
}


def chain(step, steps, array, every):
    """The cost of a chain of so many steps."""
    rng = np.random.default_rng(0)
    x = tg.Value(rng.uniform(0.2, 0.9, (3, 4)) if array else 0.3, "x")
    w = tg.Value(0.5, "w")
    y = x
    for i in range(steps):
        y = step(y, w, x, i)
        if every and i % every == every - 1:
            y.name = f"z{i // every + 1}"
    return tg.mean(y**2) if array else y * y


def net(layers, n=5, m=7):
    """The cost of a net of so many layers of tanh."""
    rng = np.random.default_rng(0)
    A = tg.Value(rng.standard_normal((n, m)), "X", requires_grad=False)
    Y = tg.Value(rng.standard_normal((n, m)), "Y", requires_grad=False)
    for layer in range(1, layers + 1):
        W = tg.Value(rng.standard_normal((n, n)) / np.sqrt(n), f"W{layer}")
        b = tg.Value(np.zeros((n, 1)), f"b{layer}")
        Z = W @ A + b
        A = tg.tanh(Z)
        Z.name, A.name = f"Z{layer}", f"A{layer}"
    return tg.sum((A - Y) ** 2) / (2 * m)


def show(title, cost):
    """Derive once and print how long it took."""
    start = time.process_time()
    lines = len(tg.derive(cost))
    print(f"| {title} | {time.process_time() - start:.2f} | {lines} |", flush=True)


def main():
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.derivations", description=__doc__
    )
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--only", default="", help="a part of the title")
    given = parser.parse_args()
    tg.derive(net(2))  # imports
    print("| | seconds of processor time | lines |\n|---|---|---|")
    if given.only in "net of 64 layers":
        show("net of 64 layers", net(64))
    for name, step in STEPS.items():
        for kind in ("numbers", "arrays"):
            for every in (0, 20):
                title = f"{name}, {kind}, {'every 20th named' if every else 'no names'}"
                if given.only in title:
                    show(title, chain(step, given.steps, kind == "arrays", every))


if __name__ == "__main__":
    main()
