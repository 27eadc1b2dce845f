"""The long runs of test_life: a graph of a million nodes, a hundred thousand steps of training.

python -m tests.life
python -m tests.life --nodes 10000 --steps 1000     shorter
"""

from __future__ import annotations

import argparse
import gc
import time
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import nn


def memory() -> float:
    """What this process holds now, in MB."""
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def large_graph(nodes: int) -> dict[str, float]:
    """Seconds to build, sweep, draw (folded) and release a graph; and how many nodes are left."""
    x, w = tg.Value(1.0, "x"), tg.Value(1.0 - 1e-7, "w")
    seconds, start = {}, time.perf_counter()

    def lap(name: str) -> None:
        nonlocal start
        seconds[name] = time.perf_counter() - start
        start = time.perf_counter()

    z = x
    for _ in range(nodes // 2):
        z = z * w + x
    lap("built")
    z.backward()
    lap("swept")
    source = tg.draw(z).source
    lap("drawn")
    middle = weakref.ref(z.parents[0])
    del z
    lap("released")
    assert len(source) < 100_000
    return seconds | {"left": float(middle() is not None)}


def steps_by_hand() -> Callable[[], Any]:
    """A step as one writes it: a graph, its sweep, an update."""
    r = np.random.default_rng(0)
    X, Y = r.standard_normal((2, 40)), (r.random((1, 40)) > 0.5) * 1.0
    W1, b1 = tg.Value(r.standard_normal((4, 2))), tg.Value(np.zeros((4, 1)))
    W2, b2 = tg.Value(r.standard_normal((1, 4))), tg.Value(np.zeros((1, 1)))

    def step() -> None:
        Z2 = W2 @ tg.tanh(W1 @ X + b1) + b2
        tg.mean(tg.binary_cross_entropy(Z2, Y, from_logits=True)).backward()
        for p in (W1, b1, W2, b2):
            p.data -= 0.01 * p.grad
            p.zero_grad()

    return step


def steps_of_fit() -> Callable[[], Any]:
    """A thousand steps of `nn.fit`, which runs a program."""
    r = np.random.default_rng(0)
    X, Y = r.standard_normal((2, 40)), r.integers(0, 2, 40)
    net = nn.Network(2, nn.Dense(4, "tanh"), nn.Dense(1, "sigmoid"))
    return lambda: net.fit(X, Y, epochs=1000, batch_size=None, progress=False)


def growth(step: Callable[[], Any], times: int) -> dict[str, float]:
    """What is held more after so many calls than before, the garbage collector switched off."""
    for _ in range(max(times // 100, 3)):
        step()
    gc.collect()
    gc.disable()
    try:
        objects, before, start = len(gc.get_objects()), memory(), time.perf_counter()
        for _ in range(times):
            step()
        seconds = time.perf_counter() - start
        return {
            "seconds": seconds, "MB": memory() - before,
            "objects": float(len(gc.get_objects()) - objects),
        }  # fmt: skip
    finally:
        gc.enable()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.life", description=__doc__)
    parser.add_argument("--nodes", type=int, default=1_000_000)
    parser.add_argument("--steps", type=int, default=100_000)
    given = parser.parse_args()
    found = large_graph(given.nodes)
    left = found.pop("left")
    print(
        f"a graph of {given.nodes:,} operations: "
        + ", ".join(f"{name} in {s:.1f} s" for name, s in found.items())
        + (", but something of it is LEFT" if left else ", nothing left")
    )
    for what, step, times in (
        ("by graphs", steps_by_hand(), given.steps),
        ("by nn.fit", steps_of_fit(), given.steps // 1000),
    ):
        got = growth(step, times)
        print(
            f"{given.steps:,} steps of training {what}: {got['seconds']:.0f} s, "
            f"{got['MB']:+.2f} MB, {got['objects']:+.0f} objects"
        )


if __name__ == "__main__":
    main()
