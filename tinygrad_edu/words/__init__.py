"""What the package says to people: one catalogue a language, the same keys in each."""

from __future__ import annotations

import os
import string
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

    def says(self, text: str) -> str:
        """A sentence that was said in English, in this language; any other text as it is.

        >>> Words("fa").says(say("verdict.wrong"))
        'نادرست'
        """
        if not isinstance(text, Said) or self.language == "en":
            return text
        if not text.key:
            return self[text.values["by"]].join(map(self.says, text.values["sentences"]))
        values = {k: self.says(v) if isinstance(v, str) else v for k, v in text.values.items()}
        return self.said(text.key, values)

    def under(self, section: str) -> dict[str, str]:
        """All texts of a section by the rest of their keys.

        >>> Words("en").under("language")
        {'direction': 'ltr'}
        """
        start = f"{section}."
        return {key[len(start) :]: t for key, t in self.texts.items() if key.startswith(start)}


class Said(str):
    """A sentence in English that knows its key and what fills it: `Words.says` translates it."""

    key: str
    values: dict[str, Any]

    def __new__(cls, text: str, key: str, /, **values: Any) -> Said:
        """`text`: the sentence with its placeholders filled by `values`."""
        sentence = super().__new__(cls, text)
        sentence.key, sentence.values = key, values
        return sentence

    def __getnewargs_ex__(self) -> tuple[tuple[str, str], dict[str, Any]]:
        return (str(self), self.key), self.values  # for copies and pickles


def say(key: str, /, **values: Any) -> Said:
    """The English sentence of a key.

    >>> say("note.overwritten", name="dW", first=3, last=5).startswith("right as first computed")
    True
    """
    return Said(catalogue("en")[key].format_map(values), key, **values)


def together(by: str, *sentences: str) -> Said:
    """Several sentences as one, with the text of the key `by` between them."""
    text = catalogue("en")[by].join(sentences)
    return Said(text, "", by=by, sentences=sentences)


@cache
def catalogue(language: str) -> dict[str, str]:
    """All texts of a language, by key."""
    import tomllib

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
