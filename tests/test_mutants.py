"""Every derivative rule made wrong on purpose: the suite's own checks must notice each one.

``python tests/test_mutants.py`` prints how many mutants there were and how many were caught. A
mutant that changes no number on fresh inputs (the inputs of `add` swapped) is none.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from domains import Case, some_cases
from oracles import check_first, check_second, gradients, upstream

import tinygrad_edu as tg
from tinygrad_edu.core.ops.shaping import sum_to
from tinygrad_edu.core.ops.table import TABLE
from tinygrad_edu.core.primitive import Primitive

Rule = Callable[..., Any]
RULES = [name for name, op in TABLE.items() if op.differentiable]


def _rounded(g: Any) -> Any:
    """Computed in float32 in between."""
    if isinstance(g, tg.Value):
        return g
    return float(np.float32(g)) if isinstance(g, float) else np.float32(g).astype(np.float64)


def _detached(g: Any) -> Any:
    return g.detach() if isinstance(g, tg.Value) else g


def _transposed(g: Any) -> Any:
    return g.T if np.ndim(g) > 1 else g


def _mutants(rules: tuple[Rule | None, ...], i: int) -> Iterator[tuple[str, Rule]]:
    """The ways a rule is wrong in practice."""
    rule = rules[i]
    assert rule is not None
    yield "1.001 times", lambda dz, z, *xs, **o: rule(dz, z, *xs, **o) * 1.001
    yield "1.000000001 times", lambda dz, z, *xs, **o: rule(dz, z, *xs, **o) * 1.000000001
    yield "sign", lambda dz, z, *xs, **o: -rule(dz, z, *xs, **o)
    yield "rounded", lambda dz, z, *xs, **o: _rounded(rule(dz, z, *xs, **o))
    yield "transposed", lambda dz, z, *xs, **o: _transposed(rule(dz, z, *xs, **o))
    yield "upstream ignored", lambda dz, z, *xs, **o: rule(dz * 0.0 + 1.0, z, *xs, **o)
    yield "upstream squared", lambda dz, z, *xs, **o: rule(dz * dz, z, *xs, **o)
    yield "upstream's size", lambda dz, z, *xs, **o: rule(tg.abs(dz), z, *xs, **o)
    yield "upstream's mean", lambda dz, z, *xs, **o: rule(dz * 0.0 + tg.mean(dz), z, *xs, **o)
    yield "upstream limited", lambda dz, z, *xs, **o: rule(tg.clip(dz, -1.0, 1.0), z, *xs, **o)
    yield "input for output", lambda dz, z, *xs, **o: rule(dz, xs[0], *xs, **o)
    yield "output for input", lambda dz, z, *xs, **o: rule(dz, z, z, *xs[1:], **o)
    yield "options forgotten", lambda dz, z, *xs, **o: rule(dz, z, *xs)
    yield "detached", lambda dz, z, *xs, **o: _detached(rule(dz, z, *xs, **o))
    if len(rules) > 1:
        yield "inputs swapped", lambda dz, z, *xs, **o: rule(dz, z, *xs[:-2], *xs[:-3:-1], **o)
        for other in rules:
            if other is not None and other is not rule:
                yield "another input's", other


def mutants(op: Primitive) -> Iterator[tuple[str, Any]]:
    """Names and the `rules` to put in the operation's place."""
    rules = tuple(itertools.islice(op.rules, op.n_inputs or 3))  # as many as the table's cases need
    for i, rule in enumerate(rules):
        if rule is not None:
            for name, wrong in _mutants(rules, i):
                yield f"input {i}: {name}", (*rules[:i], wrong, *rules[i + 1 :])


def _numbers(name: str) -> list[Any]:
    """All first and second derivatives on inputs no check has seen: is a mutant one at all?"""
    found = []
    for case in some_cases(name, salt=99):
        dz = upstream(case, np.shape(case.call(*case.arrays, **case.options)), 99)
        found += [gradients(case, case.arrays, dz), _second(case, dz)]
    return found


def _second(case: Case, dz: Any) -> Any:
    def along(*xs: Any) -> Any:
        found = tg.grad(lambda *ys: tg.sum(ys[-1] * case.call(*ys[:-1], **case.options)), case.wrt)
        return sum(tg.sum(g * g) for g in found(*xs))

    return tg.grad(along, (*case.wrt, len(case.arrays)))(*case.arrays, dz)


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(_equal, a, b))
    return a is b or np.array_equal(a, b)


def _noticed(name: str) -> bool:
    try:
        for case in some_cases(name):
            check_first(case)
            check_second(case)
    except Exception:
        return True
    return False


def survivors(name: str, monkeypatch: pytest.MonkeyPatch) -> tuple[int, list[str]]:
    """How many mutants of an operation's rules there are, and which go unnoticed."""
    op, tried, missed = TABLE[name], 0, []
    right, numbers = op.rules, None
    for label, wrong in mutants(op):
        monkeypatch.setattr(op, "rules", wrong)
        if _noticed(name):
            tried += 1
        else:
            changed = _numbers(name)
            monkeypatch.setattr(op, "rules", right)
            numbers = numbers or _numbers(name)
            if not _equal(changed, numbers):
                tried += 1
                missed.append(f"{name}, {label}")
        monkeypatch.setattr(op, "rules", right)
    return tried, missed


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if i % 12 else ()) for i, name in enumerate(RULES)],
)
@pytest.mark.one_in(8)
def test_every_mutant_of_every_rule_is_noticed(name, monkeypatch):
    tried, missed = survivors(name, monkeypatch)
    assert tried >= (3 if name == "heaviside" else 5)  # one rule, that says 0
    assert not missed


@pytest.mark.parametrize("name", ["add", "multiply", "where", "maximum", "broadcast_to"])
def test_a_forgotten_sum_over_broadcast_axes_is_noticed(name, monkeypatch):
    def first(x: Any, shape: Any) -> Any:
        return np.asarray(x).ravel()[: int(np.prod(shape))].reshape(shape)

    monkeypatch.setattr(sum_to, "forward", first)
    assert _noticed(name)


def test_without_a_mutant_nothing_is_noticed():
    assert not any(map(_noticed, RULES[:6]))


if __name__ == "__main__":
    total, lost = 0, []
    for operation in RULES:
        with pytest.MonkeyPatch.context() as patch:
            count, unnoticed = survivors(operation, patch)
        total, lost = total + count, lost + unnoticed
    print(f"{total} mutants of the rules of {len(RULES)} operations, {total - len(lost)} noticed")
    print(*lost, sep="\n")
