"""How time grows: twice the layers, examples or nodes should take twice the time.

    python -m tests.benchmarks.growth --out growth.svg

Every workload runs at sizes that double, building the graph and sweeping it included. The exponent
is the slope in a doubly logarithmic picture: 1 where time grows with the work, below 1 where a
fixed cost per step still shows, 2 where something walks over everything again and again.

Python's garbage collector does walk over all nodes again whenever a quarter more have been made,
though none of them is garbage; so every series is also measured with the collector switched off.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import time

import numpy as np

from . import workloads
from .__main__ import ONE_THREAD, environment


def _numbers(make, parameters):
    """A step of a scalar program as a graph."""
    from .frameworks import Eager

    numbers = Eager().numbers()
    run = numbers.with_gradients(make(numbers))
    return lambda: run(parameters)


def _network(sizes, n):
    return _numbers(
        lambda numbers: workloads.network_step(numbers, sizes, n),
        workloads.network_parameters(sizes),
    )


def _arrays(width, layers, m):
    """A step of a network of arrays."""
    import tinygrad_edu as tg

    r = np.random.default_rng(0)
    X, Y = (tg.Value(r.standard_normal((width, m)), requires_grad=False) for _ in range(2))
    W = [tg.Value(r.standard_normal((width, width)) / width) for _ in range(layers)]
    b = [tg.Value(np.zeros((width, 1))) for _ in range(layers)]

    def step():
        A = X
        for weights, bias in zip(W, b):
            A = tg.tanh(weights @ A + bias)
        tg.mean(tg.mean_squared_error(A, Y)).backward()
        for p in (*W, *b):
            p.zero_grad()

    return step


def _fit(width, layers, m):
    """Two epochs of `nn.fit`, in batches of 32."""
    from tinygrad_edu import nn

    r = np.random.default_rng(0)
    X, Y = r.standard_normal((width, m)), r.integers(10, size=m)

    def run():
        hidden = (nn.Dense(width, "tanh") for _ in range(layers))
        nn.Network(width, *hidden, nn.Dense(10, "softmax")).fit(X, Y, epochs=2, progress=False)

    return run


#: What is doubled, the sizes, and the step to time at each.
SERIES = {
    "W1 examples": ((50, 100, 200, 400, 800), lambda n: _network((2, 16, 16, 1), n)),
    "W1 layers": ((4, 8, 16, 32, 64), lambda n: _network((2, 16, *[16] * n, 1), 10)),
    "W2 steps of the chain": (
        (2_000, 4_000, 8_000, 16_000, 32_000),
        lambda n: _numbers(lambda f: workloads.tanh_chain(f, n), workloads.CHAIN_PARAMETERS),
    ),
    "W3 additions": (
        (62_500, 125_000, 250_000, 500_000, 1_000_000),
        lambda n: _numbers(lambda f: workloads.additions(f, n), [1.0]),
    ),
    "W4 examples": ((400, 800, 1600, 3200, 6400), lambda m: _arrays(4, 2, m)),
    "W5 layers": ((4, 8, 16, 32, 64), lambda n: _arrays(32, n, 256)),
    "W6 examples": ((128, 256, 512, 1024, 2048), lambda m: _arrays(256, 2, m)),
    "fit examples": ((512, 1024, 2048, 4096, 8192), lambda m: _fit(16, 1, m)),
    "fit layers": ((4, 8, 16, 32, 64), lambda n: _fit(16, n, 256)),
    "fit numbers per layer": ((64, 128, 256, 512, 1024), lambda n: _fit(n, 1, 256)),
    "W7 uses of one number": (
        (12_500, 25_000, 50_000, 100_000, 200_000),
        lambda n: _numbers(lambda f: workloads.fan(f, n), [2.0]),
    ),
    "W7 depth of v + v": (
        (64, 128, 256, 512, 1024),
        lambda n: _numbers(lambda f: workloads.diamond(f, n), [1.0]),
    ),
}


def best(run, rounds, collector):
    """The shortest of some calls, in seconds."""
    times = []
    for _ in range(rounds):
        gc.collect()
        if not collector:
            gc.disable()
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
        gc.enable()
    return min(times)


def exponent(sizes, seconds):
    """The slope of the line through all points, both axes logarithmic."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def measured(rounds=5):
    """For every series its sizes, and its seconds with and without the collector."""
    found = {}
    for name, (sizes, make) in SERIES.items():
        steps = [make(n) for n in sizes]
        with_gc, without = ([best(run, rounds, on) for run in steps] for on in (True, False))
        found[name] = sizes, with_gc, without
        print(
            f"| {name} | {sizes[0]:,} – {sizes[-1]:,} | {with_gc[0] * 1e3:.3g} – "
            f"{with_gc[-1] * 1e3:.3g} | {exponent(sizes, with_gc):.2f} | "
            f"{exponent(sizes, without):.2f} |",
            flush=True,
        )
    return found


def drawn(found, path):
    """A picture of all series: time over size, each relative to its smallest; no collector."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 4))
    for name, (sizes, _, seconds) in found.items():
        axes.plot(np.divide(sizes, sizes[0]), np.divide(seconds, seconds[0]), "o-", label=name)
    axes.plot([1, 16], [1, 16], "k--", linewidth=1, label="twice the size, twice the time")
    axes.set(
        xscale="log", yscale="log", xlabel="size, over the smallest",
        ylabel="time of a step, over the smallest",
    )  # fmt: skip
    axes.set_xticks([1, 2, 4, 8, 16], labels=[1, 2, 4, 8, 16])
    axes.set_yticks([1, 2, 4, 8, 16], labels=[1, 2, 4, 8, 16])
    axes.minorticks_off()
    axes.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.growth", description=__doc__)
    parser.add_argument("--out", help="draw the picture to this file")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    print("| | sizes | ms a step | exponent | without the collector |\n|---|---|---|---|---|")
    found = measured(given.rounds)
    if given.out:
        drawn(found, given.out)


if __name__ == "__main__":
    if any(os.environ.get(variable) != "1" for variable in ONE_THREAD):
        # NumPy reads this when it is imported, which has happened: begin again.
        os.execve(  # noqa: S606
            sys.executable, [sys.executable, "-m", __spec__.name, *sys.argv[1:]], environment()
        )
    main()
