"""Which names tell a layer: ``Z1``, ``W1`` and ``A1`` do, the inputs ``x1`` and ``x2`` do not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_PLAIN_DIGIT = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
_SUBSCRIPT = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_LAYERED = re.compile(
    r"([^\W\d_]+)(\d+)|([^\W\d_]+)\[(\d+)\]|([^\W\d_]+\d+)_(\d+)|([^\W\d_]+[₀-₉]*)([⁰¹²³⁴-⁹]+)"
)
#: What is given by the lecture's letters; the activations A0 that the first layer reads are X.
_GIVEN = re.compile(r"[xyXY][\d₀-₉⁰¹²³⁴-⁹_]*")
_ACTIVATIONS = re.compile("[Aa][₀-₉]*")


def layer_of(name: str | None) -> tuple[str, int] | None:
    """The letters of a name and the layer it tells (``Z1``, ``Z[1]``, ``z₁¹``), if it tells one.

    With two numbers, ``w21_3``, the first says which unit or weight of the layer.

    >>> layer_of("W12"), layer_of("b[2]"), layer_of("z₂¹"), layer_of("w21_3"), layer_of("cost")
    (('W', 12), ('b', 2), ('z₂', 1), ('w₂₁', 3), None)
    """
    found = _LAYERED.fullmatch(name) if name else None
    if not found:
        return None
    letters, number = (part for part in found.groups() if part)
    return letters.translate(_SUBSCRIPT), int(number.translate(_PLAIN_DIGIT))


def layers(names: Mapping[Any, str]) -> dict[Any, tuple[str, int]]:
    """The letters and the layer of each node whose name tells one.

    A number is a layer where both something computed and something learned carry it. What is given
    (``x1``, ``y2``) is in none, but for the activations that the first layer reads: ``A0``.
    """
    told = {node: found for node, name in names.items() if (found := layer_of(name))}
    computed = {layer for node, (_, layer) in told.items() if node.op is not None}
    learned = {
        layer
        for node, (_, layer) in told.items()
        if node.op is None and node.requires_grad and not _GIVEN.fullmatch(names[node])
    }
    known = computed & learned
    return {
        node: (letters, layer)
        for node, (letters, layer) in told.items()
        if (layer in known and _is_in_a_layer(node, names[node]))
        or (layer + 1 in known and node.op is None and _ACTIVATIONS.fullmatch(letters))
    }


def _is_in_a_layer(node: Any, name: str) -> bool:
    return node.op is not None or (node.requires_grad and not _GIVEN.fullmatch(name))
