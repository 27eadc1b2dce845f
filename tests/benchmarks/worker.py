"""One framework in one process, asked over standard input, a JSON object a line.

``{"prepare": "W1"}`` checks the gradients and answers with what one call took; ``{"run": seconds}``
gives the times of some calls; ``{"probe": "W3"}`` measures once, in a process of its own.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import sys
import threading
import time

import numpy as np

from . import workloads
from .frameworks import FRAMEWORKS


class NotApplicable(Exception):
    """This framework has no such thing."""


def agrees(found, expected, tolerance=1e-9):
    """Is every number equal on the scale of the largest of its array?"""
    for a, b in zip(found, expected, strict=True):
        a, b = np.asarray(a, float), np.asarray(b, float)
        if a.shape != b.shape or not np.abs(a - b).max() <= tolerance * max(np.abs(b).max(), 1e-12):
            return False
    return True


def checked(found, expected):
    """The gradients must be right before anything is timed."""
    if not agrees(found, expected):
        raise AssertionError("the gradients differ from the hand-written ones")


def scalar(framework, make, parameters, expected):
    """A function that computes a scalar program's gradients, checked."""
    if getattr(framework, "numbers", None) is None:
        raise NotApplicable("arrays only")
    numbers = framework.numbers()
    program = make(numbers)
    run = numbers.with_gradients(program)
    if run is None:
        raise NotApplicable("no graph")
    value, gradients = run(parameters)
    checked([value, gradients], expected)
    return lambda: run(parameters)


def prepare(framework, name):
    """What to time, and by how much to divide it."""
    if name == "W1":
        parameters = workloads.network_parameters()
        expected = workloads.network_by_hand(parameters)
        run = scalar(framework, workloads.network_step, parameters, expected)
        return run, workloads.network_operations()
    if name == "W1 irregular":
        parameters = workloads.wired_parameters()
        expected = workloads.wired_by_hand(parameters)
        run = scalar(framework, workloads.wired_step, parameters, expected)
        return run, workloads.wired_operations()
    if name == "W2":
        expected = workloads.tanh_chain_by_hand(workloads.CHAIN_PARAMETERS)
        run = scalar(framework, workloads.tanh_chain, workloads.CHAIN_PARAMETERS, expected)
        return run, 3 * workloads.CHAIN
    if name.startswith("W7 fan"):
        n = int(name.split()[-1])
        expected = [0.5 * n * 2.0, [0.5 * n]]
        return scalar(framework, lambda numbers: workloads.fan(numbers, n), [2.0], expected), n
    if name.startswith("W7 diamond"):
        n = int(name.split()[-1])
        expected = [2.0**n, [2.0**n]]
        return scalar(framework, lambda numbers: workloads.diamond(numbers, n), [1.0], expected), 1
    if name == "W10":
        if getattr(framework, "dot_text", None) is None:
            raise NotApplicable("draws nothing")
        return framework.dot_text((2, 56, 56, 1)), 1
    if name == "W11":
        if getattr(framework, "convolution", None) is None:
            raise NotApplicable("no convolution")
        arrays = workloads.convolution_data()
        run = framework.convolution(**arrays)
        (value, gradients), (expected, by_hand) = run(), workloads.convolution_by_hand(**arrays)
        checked([value, *(gradients[k] for k in by_hand)], [expected, *by_hand.values()])
        return run, 1
    if not hasattr(framework, "network"):
        raise NotApplicable("numbers only")
    kind, arrays = workloads.network_data(name)
    net, hand = framework.network(kind, arrays), workloads.ByHand(kind, arrays)
    value, gradients = net.gradients()
    expected, by_hand = hand.gradients()
    checked([value, *(gradients[k] for k in by_hand)], [expected, *by_hand.values()])
    net, hand = framework.network(kind, arrays), workloads.ByHand(kind, arrays)
    checked([net.step() for _ in range(3)], [hand.step() for _ in range(3)])
    return net.step, 1


def memory(key):
    """Kilobytes of this process, from the kernel."""
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(key))


def probe(framework, name):
    """Deep chains, peak memory and garbage: measured once."""
    if name == "W3":
        if getattr(framework, "numbers", None) is None:
            raise NotApplicable("no graph of numbers")
        n = 1_000_000
        numbers = framework.numbers()
        run = numbers.with_gradients(workloads.additions(numbers, n))
        if run is None:
            raise NotApplicable("no graph")
        before, start = memory("VmHWM"), time.perf_counter()
        value, gradients = run([1.0])
        seconds = time.perf_counter() - start
        checked([value, gradients], [n + 1.0, [1.0]])
        return {"s": seconds, "MB": (memory("VmHWM") - before) / 1024}
    if name == "W6 memory":
        if not hasattr(framework, "network"):
            raise NotApplicable("numbers only")
        kind, arrays = workloads.network_data("W6")
        net = framework.network(kind, arrays)
        gc.collect()
        with open("/proc/self/clear_refs", "w") as reset:  # the highest mark starts here
            reset.write("5")
        before = memory("VmRSS")
        for _ in range(3):
            net.step()
        return {"MB": (memory("VmHWM") - before) / 1024}
    if name == "payback":
        return payback(framework)
    if name == "W9 steps":
        run, times = prepare(framework, "W4")[0], 2000
    else:
        run, times = prepare(framework, "W1")[0], 20
    for _ in range(times // 10):
        run()
    gc.collect()
    gc.disable()
    before = memory("VmRSS")
    for _ in range(times):
        run()
    return {"MB": (memory("VmRSS") - before) / 1024, "objects": gc.collect()}


def payback(framework):
    """After how many steps of W1 a compiled program has earned what compiling took."""
    if not hasattr(framework, "compiled"):
        raise NotApplicable("compiles nothing")
    parameters = workloads.network_parameters()
    eager = min(framework.graph_of(workloads.network_step, parameters) for _ in range(5))
    recorded, compiling, program = zip(
        *(framework.compiled(workloads.network_step, parameters) for _ in range(3))
    )
    spent = min(recorded) + min(compiling)
    return {
        "ms a step as a graph": eager * 1e3, "ms to record and compile": spent * 1e3,
        "ms a step as a program": min(program) * 1e3,
        "steps until it pays": spent / (eager - min(program)),
    }  # fmt: skip


def answer(framework, state, asked):
    """One request."""
    if "prepare" in asked:
        start = time.perf_counter()
        state["run"], state["per"] = prepare(framework, asked["prepare"])
        ready = time.perf_counter() - start
        start = time.perf_counter()
        state["run"]()
        state["once"] = time.perf_counter() - start
        return {"per": state["per"], "setup": ready, "once": state["once"]}
    if "probe" in asked:
        return probe(framework, asked["probe"])
    samples, calls = [], max(1, int(0.01 / state["once"]))
    end = time.perf_counter() + asked["run"]
    while not samples or time.perf_counter() < end:
        start = time.perf_counter()
        for _ in range(calls):
            state["run"]()
        samples.append((time.perf_counter() - start) / calls)
    state["once"] = min(samples)
    return {"seconds": samples}


def serve(framework, out):
    """Answer until there is nothing more to read."""
    state = {}
    for line in sys.stdin:
        try:
            found = {"ok": True, **answer(framework, state, json.loads(line))}
        except NotApplicable as why:
            found = {"ok": False, "not": str(why)}
        except (Exception, RecursionError) as error:
            found = {"ok": False, "error": f"{type(error).__name__}: {str(error)[:120]}"}
        print(json.dumps(found), file=out, flush=True)


def main():
    kind = FRAMEWORKS[sys.argv[1]]
    out = os.fdopen(os.dup(1), "w")
    with contextlib.redirect_stdout(sys.stderr):
        framework = kind()
        if len(sys.argv) > 2 and getattr(kind, "recursive", False):
            sys.setrecursionlimit(10**7)  # its backward pass recurses: let it, on a large stack
            threading.stack_size(1 << 29)
        thread = threading.Thread(target=serve, args=(framework, out))
        thread.start()
        thread.join()


if __name__ == "__main__":
    main()
