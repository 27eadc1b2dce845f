"""Mistakes planted by a seeded program in right pieces of code, and what is said of each.

``python tests/code_mutants.py`` prints the table by kind, and a line for each of the mutants that
may be looked at; half of them, every second one, never are. ``python tests/code_mutants.py SEED …``
plants others, and counts those that the first did not plant. A mutant is kept if it runs, keeps the
cost and makes a gradient wrong.
"""

from __future__ import annotations

import ast
import copy
import json
import linecache
import random
import re
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

import tinygrad_edu as tg

HERE = Path(__file__).parent / "code"
EXPECTED = json.loads((HERE / "expected.json").read_text(encoding="utf-8"))
COUNTS = {"m", "N", "n", "batch_size"}


def text_of(piece):
    return (HERE / "pieces" / f"{piece}.py").read_text(encoding="utf-8")


def right_text(piece):
    """The piece with its own mistakes put right."""
    lines = text_of(piece).split("\n")
    for mistake in EXPECTED[piece]["mistakes"]:
        i = mistake["line"] - 1
        lines[i] = lines[i][: len(lines[i]) - len(lines[i].lstrip())] + mistake["right"]
    return "\n".join(lines)


def loaded(text, name="learner.py"):
    names = {"__name__": "learner"}
    with np.errstate(all="ignore"):
        exec(compile(text, name, "exec"), names)
    return names


def outcome(names, numbers):
    given = {k: v.copy() if isinstance(v, np.ndarray) else v for k, v in numbers.items()}
    with np.errstate(all="ignore"):
        cost, gradients = names["run"](given)
    return float(np.squeeze(cost)), {k: np.array(v, float) for k, v in gradients.items()}


def differences(names, numbers, eps=1e-5):
    found = {}
    for key, value in numbers.items():
        slope = np.zeros(np.shape(value))
        for i in np.ndindex(slope.shape):
            ends = []
            for step in (eps, -eps):
                moved = np.array(value, float)
                moved[i] += step
                ends.append(
                    outcome(names, {**numbers, key: moved if moved.ndim else float(moved)})[0]
                )
            slope[i] = (ends[0] - ends[1]) / (2 * eps)
        found[key] = slope
    return found


def wrong_in(gradients, truth):
    def right(a, b):
        return a.shape == b.shape and np.abs(a - b).max() <= 1e-5 * max(1e-2, np.abs(b).max())

    return [k for k in truth if k not in gradients or not right(gradients[k], truth[k])]


def word(text):
    return ast.parse(text, mode="eval").body


def names_in(node):
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def product(node):
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mult, ast.Div, ast.MatMult)):
        return node.left, node.right
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        name, args = node.func.attr, node.args
        if name in ("dot", "outer", "multiply", "divide", "inner") and len(args) == 2:
            return args[0], args[1]
        if name == "dot" and len(args) == 1:
            return node.func.value, args[0]
    return None


class Planter:
    """All mutations of the backward functions of one right piece, as (kind, node, new)."""

    def __init__(self, text, functions):
        self.tree = ast.parse(text)
        self.functions = [
            f for f in ast.walk(self.tree) if isinstance(f, ast.FunctionDef) and f.name in functions
        ]
        self.words = sorted({
            ast.unparse(n) for f in self.functions for n in ast.walk(f)
            if isinstance(n, (ast.Name, ast.Attribute, ast.Subscript)) and len(ast.unparse(n)) < 25
        })  # fmt: skip

    def all(self):
        for function in self.functions:
            for statement in ast.walk(function):
                yield from self.of_statement(statement)
                for expression in self.expressions(statement):
                    for node in ast.walk(expression):
                        yield from self.of_node(node, statement)

    def expressions(self, s):
        if isinstance(s, ast.For):
            return [s.iter]
        if isinstance(s, (ast.Assign, ast.AugAssign, ast.Return)) and s.value is not None:
            return [s.value]
        if isinstance(s, ast.Expr) and isinstance(s.value, ast.Call):
            return [] if getattr(s.value.func, "attr", "") in ("append", "clip") else [s.value]
        return []

    def of_statement(self, s):
        if not isinstance(s, (ast.Assign, ast.AugAssign)):
            return
        target = s.target if isinstance(s, ast.AugAssign) else s.targets[0]
        if isinstance(s, ast.AugAssign):
            yield "deleted statement", s, ast.Pass()
            if isinstance(s.op, ast.Add):
                yield "= for +=", s, ast.Assign([target], s.value)
            if isinstance(s.op, (ast.Add, ast.Sub)):
                other = ast.Sub() if isinstance(s.op, ast.Add) else ast.Add()
                yield "sign", s, ast.AugAssign(target, other, s.value)
        elif isinstance(target, ast.Subscript) and any(
            isinstance(n, ast.Compare) or getattr(n, "attr", "") == "mask" for n in ast.walk(target)
        ):
            yield "deleted statement", s, ast.Pass()
        plain = (ast.Tuple, ast.Constant, ast.List, ast.Dict, ast.ListComp)
        if isinstance(target, ast.Tuple) or isinstance(s.value, plain):
            return
        if "zeros" not in ast.unparse(s.value):
            yield "constant factor", s.value, ast.BinOp(ast.Constant(2), ast.Mult(), s.value)
            yield "sign", s.value, ast.UnaryOp(ast.USub(), s.value)
            for count in sorted(COUNTS & set(self.words)):
                yield "1/m twice", s.value, ast.BinOp(s.value, ast.Div(), word(count))

    def of_node(self, n, s):
        both = product(n)
        if both and not isinstance(s, ast.For):
            yield from self.of_product(n, *both)
        if isinstance(n, ast.Attribute) and n.attr == "T":
            yield "dropped .T", n, n.value
        if isinstance(n, ast.UnaryOp) and isinstance(n.op, ast.USub):
            if not isinstance(n.operand, ast.Constant):
                yield "sign", n, n.operand
        if isinstance(n, ast.BinOp) and isinstance(n.op, (ast.Add, ast.Sub)):
            yield from self.of_sum(n)
        if isinstance(n, ast.Call):
            yield from self.of_call(n, s)
        if isinstance(n, ast.Subscript) and isinstance(n.ctx, ast.Load):
            if isinstance(n.slice, ast.Name) and n.slice.id in ("t", "l", "i", "h", "w", "k", "j"):
                for sign in (ast.Sub(), ast.Add()):
                    new = copy.deepcopy(n)
                    new.slice = ast.BinOp(n.slice, sign, ast.Constant(1))
                    yield "off by one", n, new
        if isinstance(n, (ast.Name, ast.Attribute, ast.Subscript)) and isinstance(n.ctx, ast.Load):
            yield from self.of_word(n)

    def of_product(self, n, a, b):
        for kept, lost in ((a, b), (b, a)):
            if isinstance(n, ast.BinOp) and isinstance(n.op, ast.Div) and kept is b:
                continue
            counts = names_in(lost) and names_in(lost) <= COUNTS
            mask = any(isinstance(x, ast.Compare) for x in ast.walk(lost))
            yield "1/m missing" if counts else "no mask" if mask else "dropped factor", n, kept
        if isinstance(n, ast.BinOp) and isinstance(n.op, ast.Mult):
            yield "* for dot", n, ast.Call(word("np.dot"), [a, b], [])
        elif not isinstance(n, ast.BinOp) or isinstance(n.op, ast.MatMult):
            yield "* for dot", n, ast.BinOp(a, ast.Mult(), b)

    def of_sum(self, n):
        one = isinstance(n.right, ast.Constant) and n.right.value in (1, 2)
        one = one and not isinstance(n.left, ast.Constant)
        other = ast.Sub() if isinstance(n.op, ast.Add) else ast.Add()
        yield "off by one" if one else "sign", n, ast.BinOp(n.left, other, n.right)
        yield "off by one" if one else "forgotten term", n, n.left
        if isinstance(n.op, ast.Add):
            yield "off by one" if one else "forgotten term", n, n.right

    def of_call(self, n, s):
        for i, keyword in enumerate(n.keywords):
            if keyword.arg in ("axis", "keepdims"):
                new = copy.deepcopy(n)
                del new.keywords[i]
                yield "axis, keepdims", n, new
            if keyword.arg == "axis" and isinstance(keyword.value, ast.Constant):
                new = copy.deepcopy(n)
                new.keywords[i].value = ast.Constant(1 - keyword.value.value)
                yield "axis, keepdims", n, new
        if getattr(n.func, "attr", "") == "sum" and n.args and isinstance(n.args[-1], ast.Constant):
            new = copy.deepcopy(n)
            new.args[-1] = ast.Constant(1 - n.args[-1].value)
            yield "axis, keepdims", n, new
        if isinstance(s, ast.For) and getattr(n.func, "id", "") == "reversed":
            yield "order", n, n.args[0]
        if isinstance(s, ast.For) and getattr(n.func, "id", "") == "range":
            new = copy.deepcopy(n)
            new.args[0] = ast.BinOp(n.args[0], ast.Sub(), ast.Constant(1))
            yield "off by one", n, new

    def of_word(self, n):
        """A neighbour of the name: another layer, the point for the value, the gradient for it."""
        text = ast.unparse(n)
        for other in self.words:
            if other == text or type(word(other)) is not type(n):
                continue
            digits = re.sub(r"\d", "#", text)
            if digits != text and re.sub(r"\d", "#", other) == digits:
                yield "wrong layer", n, word(other)
            elif other == f"d{text}" or other.replace("self.d", "self.") == text:
                yield "gradient for parameter", n, word(other)
            elif text.upper() in ("A" + other.upper()[1:], "Z" + other.upper()[1:]):
                yield "wrong point", n, word(other)
            elif (
                text.isalpha()
                and other.isalpha()
                and 1 < len(text) == len(other)
                and (sum(a != b for a, b in zip(text, other)) == 1)
            ):
                yield "wrong variable", n, word(other)


def replaced(text, node, new):
    """The node's piece of text replaced, in parentheses where it is an expression."""
    lines = text.split("\n")
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line.encode()) + 1)
    raw = text.encode()
    start = starts[node.lineno - 1] + node.col_offset
    end = starts[node.end_lineno - 1] + node.end_col_offset
    shown = ast.unparse(ast.fix_missing_locations(new)).encode()
    kept = b"\n" * raw[start:end].count(b"\n")
    bare = (raw[:start] + shown + kept + raw[end:]).decode()
    if isinstance(new, ast.stmt):
        return bare
    safe = (raw[:start] + b"(" + shown + kept + b")" + raw[end:]).decode()
    try:
        return bare if ast.dump(ast.parse(bare)) == ast.dump(ast.parse(safe)) else safe
    except SyntaxError:
        return safe


def mutants(piece, seed="", most=34, of_kind=3):
    """Mutants of one piece: dicts with kind, text, the lines that differ and what they were."""
    text = right_text(piece)
    names = loaded(text)
    numbers = names["numbers"]()
    cost, _ = outcome(names, numbers)
    truth = differences(names, numbers)
    every = list(Planter(text, EXPECTED[piece]["backward"]).all())
    random.Random(piece + seed).shuffle(every)
    kept, seen, kinds = [], {text}, {}
    for kind, node, new in every:
        if len(kept) >= most:
            break
        made = replaced(text, node, new)
        if kinds.get(kind, 0) >= of_kind or made in seen:
            continue
        seen.add(made)
        try:
            other, gradients = outcome(loaded(made), numbers)
        except Exception:  # noqa: S112 - most of what is made up does not run
            continue
        if not abs(other - cost) <= 1e-9 or not all(
            np.isfinite(g).all() for g in gradients.values()
        ):
            continue
        if not wrong_in(gradients, truth):
            continue
        kinds[kind] = kinds.get(kind, 0) + 1
        was, now = text.split("\n"), made.split("\n")
        lines = [i + 1 for i, (a, b) in enumerate(zip(was, now)) if a != b]
        kept.append({
            "piece": piece, "kind": kind, "text": made, "lines": lines,
            "statement": statement_of(made, lines),
            "was": [was[i - 1].strip() for i in lines], "now": [now[i - 1].strip() for i in lines],
        })  # fmt: skip
    return kept


def every_mutant(seed=""):
    """All mutants; those at even places may be looked at, the others are never."""
    return [mutant for piece in EXPECTED for mutant in mutants(piece, seed)]


def statement_of(text, lines):
    """These lines, and the others of a statement that goes over several."""
    found = {*lines}
    for s in ast.walk(ast.parse(text)):
        if isinstance(s, ast.stmt) and not hasattr(s, "body"):
            every = range(s.lineno, s.end_lineno + 1)
            if not found.isdisjoint(every):
                found.update(every)
    return sorted(found)


def target_of(line):
    """The variable of a statement that was deleted."""
    return re.split(r"\s*[-+*/]?=(?!=)", line)[0].split("[")[0].strip()


def judged(mutant, folder):
    """What is said of a mutant: is its line first, among the first three; is it corrected?"""
    path = Path(folder) / "learner.py"
    path.write_text(mutant["text"], encoding="utf-8")
    names = loaded(mutant["text"], str(path))
    linecache.checkcache(str(path))
    start = time.process_time()
    report = tg.check_code(names["run"], names["numbers"]())
    seconds = time.process_time() - start
    lines = report.lines
    places = [line["line"] for line in lines]
    for line in lines:
        places += [other["line"] for other in line["alternatives"]]
    deleted = mutant["kind"] == "deleted statement"
    named = bool(lines) and target_of(mutant["was"][0]) in lines[0]["source"]
    return {
        "kind": mutant["kind"], "seconds": seconds, "followed": report.followed,
        "wrong": not report.ok,
        "first": named if deleted else places[:1] != [] and places[0] in mutant["statement"],
        "three": named if deleted else any(p in mutant["statement"] for p in places[:3]),
        "corrected": bool(report.corrected),
    }  # fmt: skip


def counted(rows):
    """How many, named first, among the first three, corrected; as cells of a table."""
    keys = ("first", "three", "corrected")
    return " | ".join(map(str, [len(rows), *(sum(row[key] for row in rows) for key in keys)]))


def table(halves):
    """The figures by kind as lines of Markdown: of the mutants looked at, and of the others."""
    kinds = sorted({row["kind"] for rows in halves for row in rows})
    lines = [
        "| kind of mistake | planted | named first | of three | corrected "
        "| never looked at | named first | of three | corrected |",
        "|---|" + "---|" * 8,
    ]
    chosen = [(kind, {kind}) for kind in kinds]
    chosen += [
        ("**all that have a line**", {*kinds} - {"deleted statement"}),
        ("**all**", {*kinds}),
    ]
    for name, among in chosen:
        cells = [counted([row for row in rows if row["kind"] in among]) for rows in halves]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    seconds = sorted(row["seconds"] for rows in halves for row in rows)
    half, most = seconds[len(seconds) // 2], seconds[len(seconds) * 9 // 10]
    lines.append(f"\nhalf of them in {half:.1f} s, nine in ten in {most:.1f} s of processor time")
    return "\n".join(lines)


def judged_apart(mutant):
    """What is said of a mutant that has a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        return judged(mutant, folder)


def told(mutant, row):
    """A line on a mutant that may be looked at."""
    marks = " ".join(key if row[key] else "-" * len(key) for key in ("first", "three", "corrected"))
    changed = "; ".join(f"{a}  ->  {b}" for a, b in zip(mutant["was"], mutant["now"]))
    at = ",".join(map(str, mutant["lines"]))
    return f"{marks} {row['seconds']:4.1f} s  {mutant['kind']}: {mutant['piece']}:{at}  {changed}"


def others(seeds):
    """What other seeds plant, and the first does not."""
    first = {mutant["text"] for mutant in every_mutant()}
    found = {mutant["text"]: mutant for seed in seeds for mutant in every_mutant(seed)}
    return [mutant for text, mutant in found.items() if text not in first]


def main(*seeds):
    """Both halves in one table; of other seeds all, none of them looked at."""
    every = others(seeds) if seeds else every_mutant()
    halves = [], []
    with ProcessPoolExecutor() as pool:
        for i, row in enumerate(pool.map(judged_apart, every)):
            shown = not seeds and i % 2 == 0
            halves[not shown].append(row)
            said = told(every[i], row) if shown else "not looked at"
            print(f"{i + 1}/{len(every)} {said}", file=sys.stderr, flush=True)
    print(table(halves))


if __name__ == "__main__":
    main(*sys.argv[1:])
