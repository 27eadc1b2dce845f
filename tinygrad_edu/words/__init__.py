"""What the package says to people: one catalogue a language, the same keys in each."""

from __future__ import annotations

import os
import string
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from tinygrad_edu.core.primitive import GradError

FOLDER = Path(__file__).parent
LANGUAGES = tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


class Words:
    """Whole sentences by key (``s4.lead``), their placeholders filled in by name.

    >>> Words("en")["lecture.title"]
    'Back-propagation, section by section'
    >>> Words("fa").direction
    'rtl'
    """

    def __init__(self, language: str) -> None:
        if language not in LANGUAGES:
            raise GradError(f"no language {language!r}: there are {', '.join(LANGUAGES)}")
        self.language = language
        self.texts = catalogue(language)
        self.direction = self.texts["language.direction"]

    def __getitem__(self, key: str) -> str:
        return self.texts[key]

    def said(self, key: str, values: Mapping[str, Any]) -> str:
        """The sentence with its placeholders filled in."""
        return self.texts[key].format_map(values)

    def under(self, section: str) -> dict[str, str]:
        """All texts of a section by the rest of their keys.

        >>> Words("en").under("language")
        {'direction': 'ltr'}
        """
        start = f"{section}."
        return {key[len(start) :]: t for key, t in self.texts.items() if key.startswith(start)}


@cache
def catalogue(language: str) -> dict[str, str]:
    """All texts of a language, by key."""
    text = (FOLDER / f"{language}.toml").read_text("utf-8")
    return dict(_flat(tomllib.loads(text), ""))


def placeholders(text: str) -> set[str]:
    """The names a sentence waits for.

    >>> sorted(placeholders("from {old} to {new}"))
    ['new', 'old']
    """
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def preferred() -> str:
    """The language of the environment (LC_ALL, LC_MESSAGES, LANG), where there is one; else en."""
    for variable in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if asked := os.environ.get(variable):
            language = asked.split("_")[0].split(".")[0].lower()
            return language if language in LANGUAGES else "en"
    return "en"


def _flat(table: Mapping[str, Any], before: str) -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value
