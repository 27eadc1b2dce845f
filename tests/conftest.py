"""Settings of the whole suite."""

import collections
import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Reproducible and quick by default; `HYPOTHESIS_PROFILE=search` looks for new examples.
settings.register_profile(
    "quick", derandomize=True, deadline=None, suppress_health_check=list(HealthCheck)
)
settings.register_profile("search", deadline=None, suppress_health_check=list(HealthCheck))
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))

# Tests start the program many times. Where Python is told to keep nothing of what it compiles, each
# start would compile the whole package: kept with what pytest itself keeps, that is done once.
if os.environ.pop("PYTHONDONTWRITEBYTECODE", ""):
    kept = Path(__file__).parents[1] / ".pytest_cache" / "compiled"
    os.environ.setdefault("PYTHONPYCACHEPREFIX", str(kept))

# Some tests send themselves Ctrl-C, which a process started in the background would not notice.
signal.signal(signal.SIGINT, signal.default_int_handler)


#: So many of a test's parameters, evenly spread, are tried with all other tests; the rest is slow.
FEW = 3


@pytest.hookimpl(tryfirst=True)  # before the slow ones are left out
def pytest_collection_modifyitems(items):
    """Of a test's parameters all but some are slow: `one_in(n)` leaves every n-th, else few."""
    tests = collections.defaultdict(list)
    for item in items:
        if item.get_closest_marker("slow") is None:
            tests[item.nodeid.split("[")[0]].append(item)
    for same in tests.values():
        mark = same[0].get_closest_marker("one_in")
        few = FEW if mark is None else -(-len(same) // mark.args[0])
        kept = {i * len(same) // few for i in range(few)}
        for i, item in enumerate(same):
            if i not in kept:
                item.add_marker(pytest.mark.slow)
