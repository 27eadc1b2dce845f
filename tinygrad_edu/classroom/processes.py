"""Work on strangers' texts in processes of its own, so that none can stop the rest.

A worker is ``python -m MODULE``: it reads a line of JSON from standard input, and writes one to
standard output, for each task. It may use so much memory and take so long; one that ends or is too
slow is told of in the place of an answer, and another is started for what comes next.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

#: Of one process: bytes of address space, where the system can limit that.
MOST_MEMORY = 3_000_000_000
_HOME = Path(__file__).parents[2]


class Ended(Exception):
    """A worker that gave no answer; why."""


class Worker:
    """A process for one task after the other; see this file's first lines."""

    def __init__(self, module: str, seconds: float, setting: Any = None) -> None:
        self.module, self.seconds, self.setting = module, seconds, setting
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, task: Any) -> Any:
        """The answer to a task; Ended where there is none."""
        process = self._process or self._started()
        late = threading.Event()

        def stop() -> None:
            late.set()
            process.kill()

        clock = threading.Timer(self.seconds, stop)
        clock.start()
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            with contextlib.suppress(OSError):  # it has ended, as the empty answer will tell
                process.stdin.write(json.dumps(task).encode() + b"\n")
                process.stdin.flush()
            answer = process.stdout.readline()
        finally:
            clock.cancel()
        if not answer.endswith(b"\n"):
            self.close()
            took = f"took more than {self.seconds:g} s and was stopped"
            raise Ended(took if late.is_set() else "ended its process")
        return json.loads(answer)

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(OSError):
                    if pipe is not None:
                        pipe.close()
            process.wait()

    def _started(self) -> subprocess.Popen[bytes]:
        paths = [str(_HOME), *filter(None, [os.environ.get("PYTHONPATH")])]
        once = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        self._process = subprocess.Popen(  # noqa: S603 - a module of this package
            [sys.executable, "-m", self.module, json.dumps(self.setting)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env=os.environ | once | {"PYTHONPATH": os.pathsep.join(paths)},
        )  # fmt: skip
        return self._process


def answers(
    module: str, tasks: Sequence[Any], seconds: float, setting: Any, jobs: int | None = None
) -> Iterator[Any]:
    """The answers to all tasks in their order, an `Ended` for each that has none.

    `jobs`: how many processes; of a few tasks fewer, as it takes a while to start one.
    """
    jobs = min(jobs or os.cpu_count() or 1, 1 + len(tasks) // 4)
    mine = threading.local()
    workers: list[Worker] = []

    def answer(task: Any) -> Any:
        if not hasattr(mine, "worker"):
            mine.worker = Worker(module, seconds, setting)
            workers.append(mine.worker)
        try:
            return mine.worker.ask(task)
        except Ended as error:
            return error

    pool = ThreadPoolExecutor(jobs)
    try:
        yield from pool.map(answer, tasks)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for worker in workers:
            worker.close()


def serve(begin: Callable[[Any], Callable[[Any], Any]]) -> None:
    """Be a worker: `begin` is given the setting and returns what answers a task."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a task prints is no answer
    answer = begin(json.loads(sys.argv[1]))
    for line in sys.stdin.buffer:
        out.write(json.dumps(answer(json.loads(line))).encode() + b"\n")
        out.flush()
