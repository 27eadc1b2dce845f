"""Print the table of speed: this project, hand-written code, and whichever peers are installed.

Every framework has a process of its own; all take turns, round after round, on one thread, so that
a busy neighbour or a warm processor hits all alike. Gradients are compared with hand-written ones
before anything is timed. A ratio is the median over rounds of (best of this round / best of
hand-written in the same round), with the smallest and largest in brackets.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import select
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime

from .frameworks import FRAMEWORKS

TIMED = {
    "W1": ("small network, number by number", "µs per operation", 1e6),
    "W1 irregular": ("the same wired at random", "µs per operation", 1e6),
    "W2": ("chain of tanh", "µs per operation", 1e6),
    "W4": ("the lecture's network 2-4-1, 400 examples", "µs per step", 1e6),
    "W5": ("784-128-10, 256 examples, softmax", "ms per step", 1e3),
    "W6": ("1024-1024-1024, 1024 examples", "ms per step", 1e3),
    "W7 fan 1000": ("1,000 uses of one number", "µs per use", 1e6),
    "W7 fan 100000": ("100,000 uses of one number", "µs per use", 1e6),
    "W7 diamond 16": ("v + v, 16 deep", "µs", 1e6),
    "W7 diamond 20": ("v + v, 20 deep", "µs", 1e6),
    "W11": ("convolution of 32 × 3 × 32 × 32 by 16 filters 5 × 5, and back", "ms", 1e3),
    "W10": ("DOT text of about 10,000 values", "ms", 1e3),
}
PROBES = {
    "W3": "a million additions and back, default recursion limit",
    "W6 memory": "peak memory of W6 above data and parameters",
    "W9": "W1 twenty times without the garbage collector",
    "W9 steps": "2,000 steps of W4 without the garbage collector",
    "payback": "when compiling W1 has paid",
}
ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def environment():
    """One thread; what steers OpenBLAS by hand is left out."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")}
    return kept | dict.fromkeys(ONE_THREAD, "1")


def pinned(command):
    """On one processor, where the system can say so."""
    if hasattr(os, "sched_getaffinity"):
        first = min(os.sched_getaffinity(0))
        return command, lambda: os.sched_setaffinity(0, {first})
    return command, None


class Worker:
    """A framework in its process."""

    def __init__(self, name, deep=True):
        command, before = pinned([sys.executable, "-m", "tests.benchmarks.worker", name])
        self.process = subprocess.Popen(
            command + ["deep"] * deep, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, env=environment(), preexec_fn=before,
        )  # fmt: skip

    def ask(self, timeout=300.0, **what):
        """One request and its answer; an error where it dies or takes too long."""
        try:
            print(json.dumps(what), file=self.process.stdin, flush=True)
            ready, _, _ = select.select([self.process.stdout], [], [], timeout)
            line = self.process.stdout.readline() if ready else None
        except BrokenPipeError:
            line = ""
        if line:
            return json.loads(line)
        self.process.kill()
        error = f"no answer in {timeout:.0f} s" if line is None else "the process died"
        return {"ok": False, "error": error}

    def close(self):
        self.process.stdin.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def timed(name, frameworks, rounds, seconds):
    """All frameworks on one workload, taking turns."""
    found, workers = {}, {}
    for key in frameworks:
        worker = Worker(key)
        found[key] = worker.ask(prepare=name)
        if found[key]["ok"]:
            workers[key] = worker
            found[key]["best"] = []
        else:
            worker.close()
    for _ in range(rounds):
        for key, worker in list(workers.items()):
            got = found[key]
            if got["once"] > 3 and len(got["best"]) >= 2:
                continue
            time.sleep(0.02)  # threads of the one before go to sleep
            sample = worker.ask(run=seconds)
            if sample["ok"]:
                got["best"].append(min(sample["seconds"]))
            else:
                found[key] = sample
                workers.pop(key).close()
    for worker in workers.values():
        worker.close()
    base = found.get("hand", {}).get("best") or found.get("tinygrad_edu", {}).get("best")
    for got in found.values():
        if got["ok"] and base:
            ratios = [a / b for a, b in zip(got["best"], base)]
            got["ratio"] = [statistics.median(ratios), min(ratios), max(ratios)]
    return found


def probed(name, frameworks):
    """All frameworks on what is measured once, each in a fresh process."""
    found = {}
    for key in frameworks:
        worker = Worker(key, deep=False)
        found[key] = worker.ask(probe=name)
        worker.close()
    return found


def imports(frameworks, rounds):
    """The time of importing, over that of NumPy alone."""
    wanted = {k: FRAMEWORKS[k].imports for k in frameworks if FRAMEWORKS[k].imports}
    times = {k: [] for k in wanted}
    with tempfile.TemporaryDirectory() as folder:
        # As installed packages are: with their byte code, which the first round writes for all.
        bytecode = environment() | {"PYTHONPYCACHEPREFIX": folder}
        bytecode.pop("PYTHONDONTWRITEBYTECODE", None)
        for round in range(rounds + 1):
            for key, module in wanted.items():
                start = time.perf_counter()
                subprocess.run(
                    [sys.executable, "-c", f"import numpy, {module}"], env=bytecode, check=True,
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                )  # fmt: skip
                if round:
                    times[key].append(time.perf_counter() - start)
    base = times.get("hand") or min(times.values())
    return {
        k: {"ok": True, "ms": 1e3 * statistics.median(a - b for a, b in zip(t, base))}
        for k, t in times.items()
    }


def installed():
    """The frameworks that can be imported here."""
    found = []
    for key, kind in FRAMEWORKS.items():
        top = (kind.imports or "tinygrad_edu").split(".")[0]
        if importlib.util.find_spec(top) is not None:
            found.append(key)
    return found


def number(x):
    return f"{x:,.0f}" if abs(x) >= 1000 else f"{x:.3g}"


def show_timed(name, found):
    title, unit, scale = TIMED[name]
    base = "hand-written" if found.get("hand", {}).get("ok") else "tinygrad_edu"
    print(
        f"\n**{name.split()[0]}** {title}\n\n"
        f"| | {unit} | over {base} (lowest–highest) | set up, ms |"
    )
    print("|---|---|---|---|")
    for key, got in found.items():
        if "not" in got:
            continue
        if not got["ok"]:
            print(f"| {key} | {got['error']} | | |")
            continue
        middle, low, high = got.get("ratio", [1.0, 1.0, 1.0])
        best = min(got["best"]) / got["per"] * scale
        print(
            f"| {key} | {number(best)} | {number(middle)} ({number(low)}–{number(high)}) "
            f"| {number(got['setup'] * 1e3)} |"
        )


def show_probed(title, found):
    print(f"\n{title}\n\n| | |\n|---|---|")
    for key, got in found.items():
        if "not" in got:
            continue
        text = got.get("error") or ", ".join(
            f"{number(v)} {k}" for k, v in got.items() if k != "ok"
        )
        print(f"| {key} | {text} |")


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--only", help="workloads, e.g. W1,W4 (all if left out)")
    parser.add_argument("--frameworks", help=f"of {', '.join(FRAMEWORKS)} (those installed)")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.15, help="per framework and round")
    parser.add_argument("--json", help="write every number to this file")
    given = parser.parse_args()
    frameworks = given.frameworks.split(",") if given.frameworks else installed()
    wanted = given.only.split(",") if given.only else None
    machine = f"{platform.processor() or platform.machine()}, {os.cpu_count()} processors"
    now = datetime.now(UTC).isoformat(timespec="minutes")
    print(f"{now}, {machine}, Python {platform.python_version()}, one thread, float64")
    results = {}
    for name in [*TIMED, *PROBES, "W8"]:
        if wanted is not None and name.split()[0] not in wanted:
            continue
        if name in TIMED:
            results[name] = timed(name, frameworks, given.rounds, given.seconds)
            show_timed(name, results[name])
        elif name in PROBES:
            results[name] = probed(name, frameworks)
            show_probed(f"**{name.split()[0]}** {PROBES[name]}", results[name])
        else:
            results[name] = imports(frameworks, given.rounds)
            show_probed("**W8** importing, over NumPy alone", results[name])
        sys.stdout.flush()
    if given.json:
        with open(given.json, "w") as file:
            json.dump({"when": now, "machine": machine, "results": results}, file, indent=1)


if __name__ == "__main__":
    main()
