"""The lecture, section by section: every rule by hand, automatically and by central difference."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.console import Console

from tinygrad_edu.core.primitive import GradError
from tinygrad_edu.lecture import (
    s1_collapse,
    s2_activations,
    s3_derivative,
    s4_units,
    s5_descent,
    s6_vectorised,
    s7_one_example,
    s8_start,
    s9_vanishing,
)
from tinygrad_edu.lecture.report import Report
from tinygrad_edu.words import Words, preferred

#: Each section: a module with run(report); its words are those of the catalogue.
SECTIONS: dict[str, Any] = {
    f"S{number}": section
    for number, section in enumerate(
        (s1_collapse, s2_activations, s3_derivative, s4_units, s5_descent, s6_vectorised,
         s7_one_example, s8_start, s9_vanishing), start=1,
    )
}  # fmt: skip


def show(
    sections: Iterable[str] = (), out: Path | None = None, console: Console | None = None,
    language: str | None = None,
) -> list[str]:  # fmt: skip
    """Show the sections named, all of them if none is; the page goes to the folder `out`.

    `language`: of the page, "en" or "fa"; the environment's if not given. Returns the rows that
    should match and do not, each with its section: none when all is well.
    Raises GradError for an unknown section or language, and where `out` cannot be written to.
    """
    chosen = [key.upper() for key in sections] or list(SECTIONS)
    for key in chosen:
        if key not in SECTIONS:
            raise GradError(f"there is no section {key!r}; sections are {', '.join(SECTIONS)}")
    said = Words("en")  # terminals that can set Persian are few
    report = Report(console, out, Words(language or preferred()))
    return report.hold(
        [
            (key, said[f"{key.lower()}.title"], said[f"{key.lower()}.lead"], SECTIONS[key].run)
            for key in chosen
        ]
    )
