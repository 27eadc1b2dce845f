"""A graph too large to look at, folded: by layer, by name prefix, by repeated structure.

Every node goes into exactly one group. What a group leaves out, its box says.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from tinygrad_edu.rules.layers import layers

#: Layers drawn one by one; of more, equal ones in a row become one box, but for ENDS at both ends.
LAYERS = 12
ENDS = 3
#: The longest pattern of steps looked for, as in `∗ + tanh ∗ + tanh …`.
PERIOD = 8

_PREFIX = re.compile(r"(.+?)[._/:]")


@dataclass
class Group:
    """Nodes drawn as one box, oldest first."""

    title: str
    members: list[Any]


def owners(nodes: Sequence[Any], names: dict[Any, str]) -> dict[Any, str]:
    """The layer (``layer 2``) or prefix (``encoder``) of each node whose name or use tells it.

    A number is a layer where both something computed and something learned carry it; inputs such
    as ``x1`` and ``x2`` are in none. What has no name belongs where it is used.
    """
    told = {
        node: layer
        for node, (_, layer) in layers(names).items()
        if node.op is not None or node.requires_grad
    }
    prefixes = {node: _PREFIX.match(name) for node, name in names.items()}
    shared = Counter(found[1] for found in prefixes.values() if found)
    owner: dict[Any, str] = {}
    for node in reversed(nodes):  # uses before what they use
        prefix = prefixes.get(node)
        if node in told:
            owner[node] = f"layer {told[node]}"
        elif prefix and shared[prefix[1]] > 1:
            owner[node] = prefix[1]
        if node in owner:
            for parent in node.parents:
                if parent not in names:
                    owner[parent] = owner[node]
    return owner


def fold(
    nodes: Sequence[Any], names: dict[Any, str], limit: int, results: Collection[Any]
) -> list[Group]:
    """At most about `limit` groups; each of the results stays alone.

    `nodes`: oldest first.
    """
    owner, ends = owners(nodes, names), set(results)
    computed = [node for node in nodes if node.op is not None and node not in ends]
    owned: dict[str, list[Any]] = {}
    rest = []
    for node in computed:
        if node in owner:
            owned.setdefault(owner[node], []).append(node)
        else:
            rest.append(node)
    groups = [Group(title, members) for title, members in owned.items()]
    if len(groups) > LAYERS:
        groups = _repeats(groups, ENDS)
    if len(groups) + len(rest) > limit // 2:
        groups += _repeats(_levels(rest))
    else:
        groups += [Group("", [node]) for node in rest]
    room = max(1, limit // 2)
    if len(groups) > room:
        size = -(-len(groups) // room)
        groups = [_joined(groups[i : i + size], 1) for i in range(0, len(groups), size)]
    groups += [Group("", [z]) for z in results if z.op is not None]
    return _with_leaves(nodes, groups, owner, limit)


def _levels(nodes: list[Any]) -> list[Group]:
    """Steps that do not depend on one another, by their distance from what is given."""
    level: dict[Any, int] = {}
    steps: dict[int, list[Any]] = {}
    for node in nodes:
        level[node] = 1 + max((level.get(parent, 0) for parent in node.parents), default=0)
        steps.setdefault(level[node], []).append(node)
    return [Group("", steps[i]) for i in sorted(steps)]


def _structure(group: Group) -> Hashable:
    return frozenset(Counter((node.op.name, node.shape) for node in group.members).items())


def _repeats(blocks: list[Group], ends: int = 0) -> list[Group]:
    """Blocks of equal structure in a row as one, patterns of several blocks included.

    The first and the last `ends` of a row stay as they are.
    """
    kinds: dict[Hashable, int] = {}
    kind = [kinds.setdefault(_structure(block), len(kinds)) for block in blocks]
    found = []
    i = 0
    while i < len(blocks):
        best, period = 1, 1
        for p in range(1, PERIOD + 1):
            end = i + p
            while end < len(blocks) and kind[end] == kind[end - p]:
                end += 1
            whole = (end - i) // p * p
            if whole > p and whole > best:
                best, period = whole, p
        row = blocks[i : i + best]
        i += best
        if best <= 2 * ends * period + 1:
            found += row
        else:
            inner = row[ends * period : best - ends * period]
            found += [*row[: ends * period], _joined(inner, period), *row[best - ends * period :]]
    return found


def _joined(blocks: list[Group], period: int) -> Group:
    members = [node for block in blocks for node in block.members]
    titles = [title for block in blocks for title in block.title.split(" … ") if title]
    if titles:
        return Group(f"{titles[0]} … {titles[-1]}" if len(titles) > 1 else titles[0], members)
    if len(blocks) == period:
        return Group("", members)
    pattern = " ".join(_symbols(block) for block in blocks[:period])
    return Group(f"{len(blocks) // period} × ({pattern})", members)


def _symbols(block: Group) -> str:
    """The operations of a step: ``tanh``, or ``56 tanh`` where there are as many side by side."""
    counts = Counter(node.op.symbol for node in block.members if node.op is not None)
    return ", ".join(f"{n} {symbol}" if n > 1 else symbol for symbol, n in counts.items())


def _with_leaves(
    nodes: Sequence[Any], groups: list[Group], owner: dict[Any, str], limit: int
) -> list[Group]:
    """Leaves used in one group only go into it; so do all, where they are too many to draw."""
    home = {node: i for i, group in enumerate(groups) for node in group.members}
    users: dict[Any, set[int]] = {}
    for node in nodes:
        for parent in node.parents:
            if parent.op is None:
                users.setdefault(parent, set()).add(home[node])
    leaves = [node for node in nodes if node.op is None and node not in home]
    shared = [leaf for leaf in leaves if len(users[leaf]) > 1]
    crowded = len(shared) > max(1, limit - len(groups))
    inside: dict[int, list[Any]] = {}
    alone = []
    for leaf in leaves:
        first = min(users[leaf])
        if len(groups[first].members) > 1 and (crowded or len(users[leaf]) == 1):
            inside.setdefault(first, []).append(leaf)
        else:
            alone.append(leaf)
    if len(alone) > max(1, limit - len(groups)):
        alone_groups = [Group(f"{len(alone)} given numbers or arrays", alone)]
    else:
        alone_groups = [Group("", [leaf]) for leaf in alone]
    for i, members in inside.items():
        groups[i].members = members + groups[i].members
    return alone_groups + groups
