"""Numbers of one's own for every student: the plain numbers of a sheet, drawn from a name."""

from __future__ import annotations

import random
import re

#: ``m = 5``, ``lam = 0.7``: a name, a number, perhaps a comment.
_PLAIN = re.compile(r"^(\w+[ \t]*=[ \t]*)(\d+(?:\.\d+)?)(?=[ \t]*(?:#|\r?$))", re.M)


def numbered(text: str, seed: str) -> str:
    """The sheet with other plain numbers: the same for the same name, so that m is not one's
    neighbour's.

    Whole numbers stay whole, at least 2 and different from each other; others keep two digits.

    >>> numbered("m = 5\\nlam = 0.7", "ada") == numbered("m = 5\\nlam = 0.7", "ada")
    True
    """
    rng = random.Random(seed)  # noqa: S311 - no secret: the teacher draws the same
    taken: set[int] = set()

    def drawn(match: re.Match[str]) -> str:
        old = match[2]
        if "." in old:
            return f"{match[1]}{float(old) * rng.uniform(0.5, 2):.2g}"
        low = max(2, int(old) // 2)
        free = [n for n in range(low, low + 8) if n not in taken and n != int(old)]
        new = rng.choice(free or [int(old)])
        taken.add(new)
        return match[1] + str(new)

    return _PLAIN.sub(drawn, text)
