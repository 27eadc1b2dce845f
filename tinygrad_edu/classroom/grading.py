"""Sheets handed in, each judged against a key in another process: `grade`."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinygrad_edu.checking.table import Diagnosis, Row
from tinygrad_edu.classroom.key import Key, key_of
from tinygrad_edu.classroom.numbers import numbered
from tinygrad_edu.classroom.processes import Ended, answers, serve
from tinygrad_edu.classroom.reveal import LEVELS, revealed
from tinygrad_edu.core.files import opened
from tinygrad_edu.core.primitive import GradError
from tinygrad_edu.core.signature import Count, checked
from tinygrad_edu.reports import Batch, SheetReport
from tinygrad_edu.sheets import SheetError
from tinygrad_edu.sheets.parsing import LONGEST_SHEET
from tinygrad_edu.sheets.sheet import standard_input

#: How long one sheet may take: a hundred times what a long one takes.
SECONDS = 60.0


@dataclass(frozen=True)
class Keys:
    """The key as it was asked for, and how it is to be read; plain data for another process."""

    text: str
    name: str
    data: str | None
    convention: str
    m: int | None
    points: float | dict[str, float]
    follows: float
    seed: str | None
    reveal: str

    def of(self, name: str) -> Key:
        """The key for what is handed in under a name."""
        return _key(self, None if self.seed is None else self.seed.replace("{name}", name))

    def __hash__(self) -> int:
        return hash((self.text, self.seed))


@functools.lru_cache(maxsize=4)
def _key(keys: Keys, seed: str | None) -> Key:
    text = keys.text if seed is None else numbered(keys.text, seed)
    reading = (keys.data, keys.convention, keys.m, keys.points, keys.follows)
    try:
        return key_of(text, keys.name, *reading)
    except GradError as error:
        if seed is None:
            raise
        raise GradError(f"with the numbers of {seed}: {error}") from None


@checked
def grade(
    key: str | os.PathLike[str],
    submissions: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] | Mapping[str, str],
    data: str | os.PathLike[str] | None = None,
    convention: str = "auto",
    m: int | None = None,
    points: float | Mapping[str, float] = 1.0,
    follows: float = 1.0,
    seed: str | None = None,
    reveal: str = "correction",
    jobs: Count | None = None,
) -> Batch:
    """Judge what is handed in against a key: its net and cost, and all that it claims.

    `submissions`: files, folders (their ``.sheet`` files) and patterns, "-" for standard input; or
    texts by name. What is given, forward lines and cost must be the key's; a name of one's own is
    declared (``V: W1``, ``H: A1 = np.tanh(Z1)``, ``delta1: dZ1 = …``). A claim of the key that is
    not there is *missing*. `points`: of each claim, or of some by name (others: 1); a line that is
    right by itself, with something wrong above it, earns the share `follows` of them. `seed`: a
    name that the plain numbers of the key are drawn from, in which ``{name}`` is the submission's.
    `reveal`: ``"verdict"``, ``"mistake"``, ``"why"`` or ``"correction"``: what is said of a wrong
    line. `data`: numbers for the key, if not beside it. `jobs`: processes; default: one a core.

    Each is judged in another process, so that none can stop the rest. Raises GradError for a key
    that claims nothing or is wrong itself.

    >>> import pathlib, tempfile
    >>> key = pathlib.Path(tempfile.mkdtemp()) / "key.sheet"
    >>> _ = key.write_text("w: ()\\nJ = w**2\\ndw = 2 * w\\n")
    >>> batch = tg.grade(key, {"ada": key.read_text(), "bob": "w: ()\\nJ = w**2\\ndw = w\\n"})
    >>> [report.points for report in batch.reports]
    [(1.0, 1.0), (0.0, 1.0)]
    """
    if reveal not in LEVELS:
        raise GradError(f"reveal is one of {', '.join(LEVELS)}, not {reveal!r}")
    path = Path(key)
    beside = path.with_suffix(".npz")
    data = str(data) if data is not None else str(beside) if beside.exists() else None
    worth = dict(points) if isinstance(points, Mapping) else float(points)
    keys = Keys(_read(path), str(path), data, convention, m, worth, follows, seed, reveal)
    keys.of("name")  # what is wrong with the key is told before anything is judged
    if isinstance(submissions, Mapping):
        tasks = [{"name": str(name), "text": str(text)} for name, text in submissions.items()]
    else:
        if isinstance(submissions, (str, os.PathLike)):
            submissions = [submissions]
        found = sheets_in(submissions, but=path)
        tasks = [{"name": n} | ({"text": standard_input()} if n == "-" else {}) for n in found]
    told = answers(__name__, tasks, SECONDS, vars(keys), jobs)
    return Batch([_report(keys, task["name"], answer) for task, answer in zip(tasks, told)])


def sheets_in(
    named: Iterable[str | os.PathLike[str]], but: str | os.PathLike[str] | None = None
) -> list[str]:
    """The sheets that are named, and those in folders and of patterns that are not there already.

    The key `but` is none of a folder's.
    """
    key = None if but is None else os.path.realpath(but)
    found: list[str] = []
    for name in named:
        one, path = os.fspath(name), Path(name)
        if path.is_dir():
            inside = sorted(map(str, path.rglob("*.sheet")))
        elif not path.exists() and any(c in one for c in "*?["):
            root = Path(path.anchor)
            pattern = str(path.relative_to(root)) if path.anchor else one
            inside = sorted(map(str, root.glob(pattern)))
        else:
            found.append(one)
            continue
        inside = [file for file in inside if os.path.realpath(file) != key]
        known = set(found)
        # A folder or pattern without any is then told to be no sheet.
        found += [file for file in inside or [one] if file not in known]
    if not found:
        raise GradError("there are no sheets to judge")
    return found


def _read(path: str | Path) -> str:
    """The text of a file, as much of it as a sheet may have and a little more."""
    if Path(path).is_dir():
        raise SheetError("there is no sheet in this folder", 0, 0, str(path))
    with opened(path) as file:
        text = file.read(4 * LONGEST_SHEET + 1)
    try:
        return text.decode()
    except UnicodeDecodeError:
        raise SheetError("this file is not text in UTF-8", 1, 1, str(path)) from None


# --- in another process ---------------------------------------------------------------------------


def _begin(setting: dict[str, Any]) -> Callable[[dict[str, str]], dict[str, Any]]:
    keys = Keys(**setting)

    def answer(task: dict[str, str]) -> dict[str, Any]:
        report = judged(keys, task["name"], task.get("text"))
        return {
            "convention": report.convention, "cost": report.cost, "m": report.m,
            "error": report.error, "place": report.place, "remarks": report.remarks,
            "source": report.source, "rows": [_plain(row) for row in report.rows],
        }  # fmt: skip

    return answer


def judged(keys: Keys, name: str, text: str | None = None) -> SheetReport:
    """What is handed in under a name, judged; whatever goes wrong is what is said of it."""
    try:
        key = keys.of(Path(name).stem)
        report = key.judged(_read(name) if text is None else text, name)
    except (GradError, OSError) as error:
        report = _unjudged(keys, name, str(error))
    except Exception as error:
        why = f"this sheet cannot be judged: {type(error).__name__}: {error}"
        report = _unjudged(keys, name, why)
    return revealed(report, keys.reveal)


def _unjudged(keys: Keys, name: str, why: str) -> SheetReport:
    """A report of which nothing is shown: all that the key claims is missing."""
    return SheetReport(name, error=why, rows=keys.of("name").marked([], {}))


def _report(keys: Keys, name: str, answer: dict[str, Any] | Ended) -> SheetReport:
    if isinstance(answer, Ended):
        return _unjudged(keys, name, f"{name}: judging this sheet {answer}")
    place = answer.pop("place")
    rows = [_row(row) for row in answer.pop("rows")]
    return SheetReport(name, rows=rows, place=place and tuple(place), **answer)


def _plain(row: Row) -> dict[str, Any]:
    return vars(row) | {"diagnosis": row.diagnosis and vars(row.diagnosis)}


def _row(plain: dict[str, Any]) -> Row:
    tuples = {
        name: None if plain[name] is None else tuple(plain[name])
        for name in ("shape", "expected_shape", "points")
    }
    diagnosis = plain["diagnosis"] and Diagnosis(**plain["diagnosis"])
    return Row(**plain | tuples | {"diagnosis": diagnosis})


if __name__ == "__main__":
    serve(_begin)
