"""Settings of the whole suite."""

import collections
import os
import signal

import pytest
from hypothesis import HealthCheck, settings

# Reproducible and quick by default; `HYPOTHESIS_PROFILE=search` looks for new examples.
settings.register_profile(
    "quick", derandomize=True, deadline=None, suppress_health_check=list(HealthCheck)
)
settings.register_profile("search", deadline=None, suppress_health_check=list(HealthCheck))
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))

# Some tests send themselves Ctrl-C, which a process started in the background would not notice.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)  # before the slow ones are left out
def pytest_collection_modifyitems(items):
    """Of a test's parameters, where it is marked `one_in(n)`, all but every n-th are slow."""
    counted = collections.Counter()
    for item in items:
        mark = item.get_closest_marker("one_in")
        if mark is not None:
            test = item.nodeid.split("[")[0]
            if counted[test] % mark.args[0]:
                item.add_marker(pytest.mark.slow)
            counted[test] += 1
