"""What the dictionaries of a sheet keep under texts, where that has a name of its own.

``cache['Z1'] = W1 @ X`` is the quantity Z1; with ``params = {'W1': W1}``, ``params['W1']`` is W1.
"""

from __future__ import annotations

from tinygrad_edu.sheets.syntax import Expr


class Kept:
    """By the names of dictionaries and their keys, the names of what is in them.

    `spelling`: how the learner writes what has its name from a key.
    """

    def __init__(self) -> None:
        self._held: dict[str, dict[str, Expr | None]] = {}
        self.spelling: dict[Expr, str] = {}

    def assign(self, name: str, e: Expr) -> None:
        """A name is given a value: it keeps what stands in a dictionary, and else nothing."""
        pairs = zip(e.extra, e.args, strict=True) if e.op == "dict" else ()
        self._held[name] = {key: _name_or_none(part) for key, part in pairs}

    def put(self, name: str, key: str, e: Expr) -> None:
        """Something is put into a dictionary."""
        self._held.setdefault(name, {})[key] = _name_or_none(e)

    def has(self, name: str, key: str) -> bool:
        """Has something been put there?"""
        return key in self._held.get(name, {})

    def named(self, name: str, key: str) -> Expr | None:
        """The name of what is there; None where it has none."""
        return self._held.get(name, {}).get(key)


def _name_or_none(e: Expr) -> Expr | None:
    return e if e.op == "name" else None
