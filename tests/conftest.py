"""Settings of the whole suite."""

import os
import signal

from hypothesis import HealthCheck, settings

# Reproducible and quick by default; `HYPOTHESIS_PROFILE=search` looks for new examples.
settings.register_profile(
    "quick", derandomize=True, deadline=None, suppress_health_check=list(HealthCheck)
)
settings.register_profile("search", deadline=None, suppress_health_check=list(HealthCheck))
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))

# Some tests send themselves Ctrl-C, which a process started in the background would not notice.
signal.signal(signal.SIGINT, signal.default_int_handler)
