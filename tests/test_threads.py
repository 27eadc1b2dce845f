"""Threads: each records for itself; parameters shared between them lose no contribution."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import Value

THREADS = 8


@pytest.fixture(autouse=True)
def _switching_often():
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def in_threads(work: Callable[[int], Any]) -> list[Any]:
    """Run in eight threads that start together; what they return, or raise."""
    results: list[Any] = [None] * THREADS
    errors: list[BaseException] = []
    together = threading.Barrier(THREADS)

    def run(number: int) -> None:
        try:
            together.wait()
            results[number] = work(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results


def test_independent_graphs_in_eight_threads():
    def work(number: int) -> list[float]:
        found = []
        for k in range(40):
            x = Value(float(number + k))
            y = x
            for _ in range(20):
                y = tg.sin(y) + x * 0.5
            y.backward()
            found.append(x.grad)
        return found

    expected = [work(i) for i in range(THREADS)]
    assert in_threads(work) == expected


def test_shared_parameters_lose_no_contribution():
    W, b = Value(np.ones((2, 3)), "W"), Value(0.0, "b")
    steps = 200

    def work(number: int) -> None:
        X = np.full((3, 4), float(number + 1))
        for _ in range(steps):
            (tg.sum(W @ X) + b).backward()

    in_threads(work)
    total = steps * sum(range(1, THREADS + 1))
    assert W.grad.tolist() == [[4.0 * total] * 3] * 2
    assert b.grad == steps * THREADS


def test_one_graph_swept_by_all_threads():
    w = Value(3.0)
    cost = w * w * 2.0
    in_threads(lambda _: [cost.backward() for _ in range(100)])
    assert w.grad == 12.0 * 100 * THREADS
    assert cost.grad == 1.0


def test_no_grad_is_for_one_thread():
    inside, done = threading.Event(), threading.Event()
    recorded = []

    def without() -> None:
        with tg.no_grad():
            inside.set()
            done.wait(10)
            recorded.append((Value(1.0) * 2).requires_grad)

    thread = threading.Thread(target=without)
    thread.start()
    inside.wait(10)
    recorded.append((Value(1.0) * 2).requires_grad)
    done.set()
    thread.join()
    assert recorded == [True, False]


def test_interleaved_no_grad_is_restored_everywhere():
    shared = tg.no_grad()

    def work(number: int) -> list[bool]:
        found = []
        for _ in range(200):
            found.append((Value(1.0) * 2).requires_grad)
            with shared:
                found.append((Value(1.0) * 2).requires_grad)
                with tg.no_grad():
                    found.append((Value(1.0) * 2).requires_grad)
                found.append((Value(1.0) * 2).requires_grad)
        return found

    assert in_threads(work) == [[True, False, False, False] * 200] * THREADS
    assert (Value(1.0) * 2).requires_grad


def test_creation_order_stays_topological_across_threads():
    """Nodes made by several threads in turn, on top of each other."""
    w = Value(1.0)
    chain, lock = [w], threading.Lock()

    def work(number: int) -> None:
        for _ in range(100):
            with lock:
                chain.append(chain[-1] + w)

    in_threads(work)
    chain[-1].backward()
    assert w.grad == 1.0 + 100 * THREADS


def test_nested_gradients_in_all_threads():
    def work(number: int) -> list[float]:
        f = lambda x: tg.grad(lambda y: x * y**3)(x)  # noqa: E731
        return [tg.grad(f)(float(number)) for _ in range(30)]

    assert in_threads(work) == [[9.0 * i**2] * 30 for i in range(THREADS)]


def test_debugging_in_some_threads_changes_nothing_in_others():
    def work(number: int) -> Any:
        found = []
        for k in range(40):
            x = Value(float(k))
            if number % 2:
                with tg.debug_nans():
                    (x * x + 1.0 / (x + 1.0)).backward()
            else:
                (x * x + 1.0 / (x + 1.0)).backward()
            found.append(x.grad)
        return found

    expected = work(0)
    assert in_threads(work) == [expected] * THREADS
