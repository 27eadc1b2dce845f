"""Derivations as tests: ``pytest --derivations`` collects ``*.sheet``, and each claim is a test.

A module of its own beside the package, so that a run without the option imports nothing for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of the command line."""
    group = parser.getgroup("tinygrad_edu", "derivations, judged line by line")
    group.addoption(
        "--derivations", action="store_true", help="collect *.sheet files; each claim is a test"
    )
    group.addoption(
        "--derivations-reveal",
        choices=("verdict", "mistake", "why", "correction"),
        default="correction",
        help="how much a failure says of a wrong line",
    )


def pytest_collect_file(parent: pytest.Collector, file_path: Path) -> SheetFile | None:
    """A sheet, if derivations are asked for."""
    if file_path.suffix == ".sheet" and parent.config.getoption("derivations"):
        return SheetFile.from_parent(parent, path=file_path)
    return None


class SheetFile(pytest.File):
    """A sheet: a test for each claim, or one that fails where there are none."""

    def collect(self) -> Iterator[Claim]:
        """The claims, judged."""
        import tinygrad_edu as tg
        from tinygrad_edu.classroom.reveal import revealed

        report = tg.check_sheets([self.path]).reports[0]
        if report.error is not None:
            yield Claim.from_parent(self, name="the sheet can be read", said=report.error)
        elif not report.rows:
            said = "\n".join(report.remarks)
            yield Claim.from_parent(self, name="something is claimed", said=said)
        for row in revealed(report, self.config.getoption("derivations_reveal")).rows:
            yield Claim.from_parent(self, name=row.name, row=row)


class Claim(pytest.Item):
    """A claim as a test: what follows from a wrong line above is expected to fail."""

    def __init__(self, *, row: Any = None, said: str = "", **more: Any) -> None:
        super().__init__(**more)
        self.row, self.said = row, said
        if row is not None and row.diagnosis is not None:
            self.user_properties.append(("mistake", row.diagnosis.mistake))

    def runtest(self) -> None:
        """Fail with the diagnosis where the claim is not right."""
        from tinygrad_edu.classroom.formats import said_of

        if self.row is None:
            raise WrongLineError(self.said)
        if self.row.verdict == "follows":
            pytest.xfail(f"{self.row.name} is right by itself; a line above it is wrong")
        if not self.row.ok:
            raise WrongLineError(said_of(self.row))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The diagnosis, without a trace of this file."""
        if isinstance(excinfo.value, WrongLineError):
            return f"{self.path.name}: {excinfo.value}"
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where the claim stands."""
        line = (self.row.line or 1) if self.row is not None else 1
        return self.path, line - 1, self.name


class WrongLineError(Exception):
    """A line that is not right, and what is said of it."""
