"""A derivation as it is written on paper, read as Python where there is one way to read it.

``dW2 = (1/m) dZ2 A1ᵀ``, ``A1^2``, ``X: 3, m``, ``∂J/∂W1 = …`` become Python, line by line, so that
what `derive` prints can be pasted back; what stays unreadable is told what to write instead.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tinygrad_edu.sheets.juxtaposed import chains, multiplied
from tinygrad_edu.sheets.vocabulary import MODULES
from tinygrad_edu.words import say

#: Characters that mean one thing only; those of full width mean their narrow selves.
_CHARACTERS = {
    **{code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)},
    **{ord(c): str(n) for n, c in enumerate("₀₁₂₃₄₅₆₇₈₉")},
    **dict.fromkeys(map(ord, "−–\u2012"), "-"),
    **dict.fromkeys(map(ord, "∗×·⋅⊙∘"), "*"),
    **dict.fromkeys(map(ord, "÷\u2215"), "/"),
    **dict.fromkeys(map(ord, "\u00a0\u2002\u2003\u2009\u202f\u3000"), " "),
    **dict.fromkeys(map(ord, "\ufeff\u200b\u200c\u200d\u2060")),
    **dict.fromkeys(map(ord, "\u201c\u201d"), '"'),
    **dict.fromkeys(map(ord, "\u2018\u2019"), "'"),
    ord("≥"): ">=", ord("≤"): "<=", ord("≠"): "!=", ord("ᵀ"): ".T", 0x22A4: ".T",
    ord("π"): "pi", ord("∞"): "inf", ord("√"): "np.sqrt", ord("∇"): "grad_", ord("∂"): "d",
}  # fmt: skip
#: Digits, commas and decimal points as Persian and Arabic keyboards write them.
_PERSIAN = {
    **{start + n: str(n) for start in (0x0660, 0x06F0) for n in range(10)},
    0x060C: ",", 0x066B: ".",
}  # fmt: skip
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
# Patterns are compiled where they are first needed: together they take longer than a sheet.
#: What only paper, and `derive`, write: where it occurs, names side by side are a product.
_OF_PAPER = "[ᵀ∗−²³⁻]"

_N = "[^\\W⁰¹²³⁴-⁹]"  # a letter, a digit, an underscore
_ASSIGNED = r"(?=[ \t]*(?:[-+*/@]?=(?!=)|:))"
_POWER = f"(?:(?<!{_N})({_N}+))?([⁻⁰¹²³⁴-⁹]+)"
_NAMED = rf"(?m)^[ \t]*({_N}+[⁰¹²³⁴-⁹]+){_ASSIGNED}"
_FRACTION = r"(?<![\w.])[d∂](\w+)[ \t]*/[ \t]*[d∂](\w+)"
_DERIVED = rf"(?m)^[ \t]*{_FRACTION}{_ASSIGNED}"
_DECLARED = r"(?m)^([ \t]*\w+[ \t]*:[ \t]*)([^=#\n]*[^=#\s])"
_TRANSPOSED = r"\^[ \t]*(\{[ \t]*T[ \t]*\}|T\b|\u22a4)"
_DOTTED = r"(?<![\w.])([A-Za-z_]\w*(?:\.T)?|(?<=[)\]]))[ \t]*\.(?=[*/^])"

_STRINGS_AND_REMARKS = r"#.*|'[^'\n]*'|\"[^\"\n]*\""
_LONG_STRING = r"(?s)'''.*?'''|\"\"\".*?\"\"\""
_TARGET = r"^(\w+)[ \t]*(\[[^=]*\])?[ \t]*(?::[ \t]*(\w+)[ \t]*)?([-+*/@]?=(?!=)|:)"
_NUMBER = r"(?<![\w.])(?:\d+(?:\.\d*)?(?:[eE][-+]?\d+)?|\.\d+)"
_SIZE = r"(?<!\w)(?:\w+\.shape\[-?\d+\]|len\(\w+\)|\w+\.size\b)"


@dataclass(frozen=True)
class Unreadable:
    """A line that is no formula of any kind: its place, its text, what to write instead."""

    line: int
    column: int
    text: str
    message: str


def read(source: str) -> tuple[str, list[ast.stmt | Unreadable]]:
    """A sheet's text as Python, and its statements; a line that is none spoils no other."""
    text, of_paper = as_python(source), bool(re.search(_OF_PAPER, source))
    if not of_paper:
        try:
            return text, list(ast.parse(text).body)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            pass  # some line is the culprit
    scalars = _scalars(text)
    text = re.sub(_LONG_STRING, lambda match: "\n" * match[0].count("\n"), text)
    lines = re.split(r"\r\n|\r|\n", text)
    statements: list[ast.stmt | Unreadable] = []
    for start, stop in _logical(lines):
        piece = "\n".join(lines[start:stop])
        if not lines[start].rstrip().endswith(":") or stop - start == 1:
            piece = piece.lstrip()
        piece = _multiplied(piece, scalars, of_paper)
        lines[start:stop] = piece.split("\n")
        statements += _parsed(piece, start, scalars)
    return "\n".join(lines), statements


def one_formula(text: str, is_scalar: Callable[[str], bool]) -> str:
    """One formula as Python; `is_scalar` knows the names of single numbers."""
    python = as_python(text)
    scalars = {name for name in re.findall(r"\w+", python) if is_scalar(name)}
    return _multiplied(python, scalars, bool(re.search(_OF_PAPER, text)))


def as_python(text: str) -> str:
    """The characters and forms of paper that mean one thing, in Python's."""
    if text.isascii() and not re.search(r"[\^/:]|\.\*", text):
        return text
    text = text.translate(_PERSIAN)
    text = re.sub(_DECLARED, lambda match: match[1] + _shape(match[2]), text)
    derived = set(re.findall(_DERIVED, text))
    text = re.sub(
        _FRACTION,
        lambda f: f"d{f[1]}_d{f[2]}" if f[0][0] == "∂" or f.groups() in derived else f[0],
        text,
    )
    if not text.isascii():
        named = set(re.findall(_NAMED, text))
        text = re.sub(
            _POWER,
            lambda p: (p[1] or "") + ("" if p[0] in named else "**") + p[2].translate(_RAISED),
            text,
        )
    if re.search(r"\.[*/^]", text):
        text = re.sub(_DOTTED, r"\1 ", text)
    if "^" in text and not re.search(r"^[ \t]*T[ \t]*[=:]", text, re.M):
        text = re.sub(_TRANSPOSED, ".T", text)
    text = re.sub(r"σ[ \t]*\(", "sigmoid(", text)
    text = re.sub(r"\bReLU\b", "relu", text)
    return text.translate(_CHARACTERS).replace("^", "**")


def _shape(text: str) -> str:
    """``3, m``, ``3 × m``, ``[3, m]`` as (3, m)."""
    text = re.sub(r"(?<=\w)[ \t]+x(?=[ \t]+\w)|×", ",", text)
    if re.fullmatch(r"\[[^][]*\]", text):
        return f"({text[1:-1]})"
    return f"({text})" if re.fullmatch(r"[^()\[\]]+,[^()\[\]]*", text) else text


# --- statements, one by one -------------------------------------------------------------------


def _logical(lines: list[str]) -> Iterator[tuple[int, int]]:
    """Which lines belong to one statement: brackets that are open, blocks that are indented."""
    start = 0
    while start < len(lines):
        stop = _balanced(lines, start)
        if stop - start > 1 and not _parses("\n".join(lines[start:stop]).lstrip()):
            cut = (i for i in range(start + 1, stop) if re.match(_TARGET, lines[i]))
            stop = next(cut, stop)  # a bracket never closed swallows no other line
        if _bare(lines[stop - 1]).endswith(":"):
            while stop < len(lines) and (lines[stop][:1] in (" ", "\t") or not lines[stop].strip()):
                stop += 1
        yield start, stop
        start = stop


def _balanced(lines: list[str], start: int) -> int:
    depth, stop = 0, start
    while stop < len(lines):
        bare = _bare(lines[stop])
        depth += sum(bare.count(c) for c in "([{") - sum(bare.count(c) for c in ")]}")
        stop += 1
        if depth <= 0 and not bare.endswith("\\"):
            break
    return stop


def _bare(line: str) -> str:
    """A line without its remark, its strings emptied."""
    return re.sub(_STRINGS_AND_REMARKS, lambda s: "" if s[0][0] == "#" else "''", line).rstrip()


def _parses(text: str) -> bool:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _parsed(text: str, above: int, scalars: set[str]) -> list[ast.stmt | Unreadable]:
    """The statements of one piece of a sheet, `above` lines below its top."""
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        place = (error.lineno or 1) + above, error.offset or 1
        return [Unreadable(*place, " ".join(text.split()), advice(text, error.msg, scalars))]
    except (ValueError, RecursionError, MemoryError):
        message = "this line cannot be read: it is nested too deeply, or no text"
        return [Unreadable(above + 1, 1, text[:200], message)]
    return [ast.increment_lineno(statement, above) for statement in tree.body]


def advice(text: str, said: str, scalars: set[str] | None = None) -> str:
    """What to write in place of a line that Python cannot read."""
    bare = _bare(text)
    side_by_side = chains(bare)
    if "\\" in bare:
        return say("error.latex")
    if bare.rstrip().endswith("="):
        return say("error.nothing_behind")
    if re.search(r"\w'", bare):
        return say("error.transpose")
    if any(bare.count(a) != bare.count(b) for a, b in ("()", "[]")):
        return say("error.bracket")
    if side_by_side:
        (start, stop), (following, end) = side_by_side[0][1][:2]
        a, b = bare[start:stop], bare[following:end]
        if _is_number(a, scalars or set()):
            return say("error.write_times", a=a, b=b)
        if re.match(r"[\w(\[]", b):  # no sign that Python does not know
            return say("error.write_product", a=a, b=b)
    return say("error.not_python", said=said)


def target_of(text: str) -> tuple[str | None, str | None]:
    """The name that an unreadable line assigns to, and what is written behind its colon."""
    match = re.match(_TARGET, text.strip())
    return (match[1], match[3]) if match else (None, None)


def changed_by(node: ast.stmt) -> tuple[list[str], str | None]:
    """The names that a statement may give another value, and the name behind its colon."""
    note = node.annotation if isinstance(node, ast.AnnAssign) else None
    # np.add.at(dE, i, dh) and x.sort() change what they name; print(x) does not.
    in_place = isinstance(node, ast.Expr) and any(
        isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute)
        for part in ast.walk(node)
    )
    parts = [part for target in _targets(node) for part in ast.walk(target)]
    indexed = {part.value for part in parts if isinstance(part, ast.Subscript)}
    names = [
        part.id
        for part in parts
        if isinstance(part, ast.Name)
        and (in_place or part in indexed or isinstance(part.ctx, ast.Store))
        and part.id not in MODULES
    ]
    return list(dict.fromkeys(names)), note.id if isinstance(note, ast.Name) else None


def _targets(node: ast.stmt) -> list[ast.AST]:
    """The parts of a statement in which names may be given a value."""
    if isinstance(node, ast.Assign):
        return list(node.targets)
    return [node.target] if isinstance(node, (ast.AugAssign, ast.AnnAssign)) else [node]


# --- single numbers -----------------------------------------------------------------------------


def _scalars(text: str) -> set[str]:
    """The names that are single numbers, as far as the text of a sheet tells."""
    found: set[str] = set()
    for line in re.split(r"\r\n|\r|\n", text):
        match = re.match(r"[ \t]*(\w+)[ \t]*(=(?!=)|:[ \t]*\(\))(.*)", _bare(line))
        if match and (match[2] != "=" or _is_number(match[3], found)):
            found.add(match[1])
    return found


def _is_number(text: str, scalars: set[str]) -> bool:
    """Is a formula made of single numbers only?"""
    rest = re.sub(_NUMBER, "1", re.sub(_SIZE, "1", text))
    names = re.findall(r"[^\W\d]\w*", rest)
    return bool(re.fullmatch(r"[\w\s()*/+.-]+", rest)) and all(name in scalars for name in names)


def _multiplied(text: str, scalars: set[str], of_paper: bool) -> str:
    return multiplied(text, lambda part: _is_number(part, scalars), scaled_only=not of_paper)
