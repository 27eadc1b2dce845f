"""Text as a picture may show it: whatever a user calls a node is legible, and is never markup."""

from __future__ import annotations

import html
import re
import unicodedata

#: The longest text shown in a picture; the rest is cut.
LONGEST = 40

_SUPERSCRIPT = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefe][\\w\u200c\u200d]*")
# Persian is written with joiners, `_isolated` puts in isolates; other invisible characters are
# spelled out.
_INVISIBLE = "\u200c\u200d\u2068\u2069"


def visible(text: str, longest: int = LONGEST) -> str:
    """`text` on one line, cut to `longest`, with every control character spelled out.

    >>> visible("a\\nb")
    'a\\\\nb'
    """
    if not text.isalnum():
        text = "".join(map(_spelled, text[: longest + 1]))
    text = text if len(text) <= longest else text[: longest - 1] + "…"
    return text if text.isascii() else _isolated(text)


def _isolated(text: str) -> str:
    """Names written from right to left kept apart, so that the formula around them is not turned.

    A name that stands alone needs nothing.
    """
    return (
        text if _RIGHT_TO_LEFT.fullmatch(text) else _RIGHT_TO_LEFT.sub("\u2068\\g<0>\u2069", text)
    )


def _spelled(c: str) -> str:
    # control, format, surrogate, unassigned
    if unicodedata.category(c)[0] == "C" and c not in _INVISIBLE:
        return c.encode("unicode_escape").decode()
    return c


def markup(text: str, longest: int = LONGEST) -> str:
    """`text` for an HTML-like label.

    >>> markup('<b>"w"</b>')
    '&lt;b&gt;&quot;w&quot;&lt;/b&gt;'
    """
    # Graphviz reads backslashes in the text between tags too: a single one may start an escape.
    return html.escape(visible(text, longest)).replace("\\", "&#92;&#92;")


def quoted(text: str) -> str:
    r"""`text` between double quotes, where backslashes and ``&`` would mean something to Graphviz.

    >>> print(quoted('a"b\\N'))
    "a\"b\\N"
    """
    text = visible(text).replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;")
    return f'"{text}"'


def superscripted(letters: str, layer: int) -> str:
    """A name as the lecture writes it: ``Z¹``."""
    return letters + str(layer).translate(_SUPERSCRIPT)


def wide(text: str) -> int:
    """The width in points of letters Graphviz has no metrics for, so that boxes fit; else 0."""
    return 0 if text.isascii() else 8 * len(text)
