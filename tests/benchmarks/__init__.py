"""Speed, side by side: ``python -m tests.benchmarks``. Not part of the test run."""
