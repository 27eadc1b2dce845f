"""The plots of S8: two weights from three starts, boundaries and costs from two."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.drawing import plots
from tinygrad_edu.drawing.plots import Html, letters, number
from tinygrad_edu.lecture.formulas import answers
from tinygrad_edu.lecture.lesson_page import table
from tinygrad_edu.lecture.nets import trained
from tinygrad_edu.lecture.s1_collapse import SQUARE
from tinygrad_edu.words import Words

#: Of the run: the parameters, the costs, how far apart the units are.
Run = tuple[list[dict[str, Any]], list[float], list[float]]
TARGETS = (0.0, 1.0, 1.0, 1.0)
FIRST = 60  # steps in which the weights are watched
SHOWN = (0, 1, 10, 100)


def shown(words: Words, runs: dict[str, Run], alpha: float) -> dict[str, Any]:
    """Weights, boundaries and costs; a third start from one half, which moves both units alike."""
    half = {
        "W1": np.full((2, 2), 0.5), "b1": np.zeros((2, 1)),
        "W2": np.full((1, 2), 0.5), "b2": np.zeros((1, 1)),
    }  # fmt: skip
    tracks = {name: track for name, (track, _, _) in runs.items()}
    tracks["half"] = trained(SQUARE, np.array([TARGETS]), half, alpha, FIRST)[0]
    found: dict[str, Any] = {f"twins_{name}": _twins(words, name, t) for name, t in tracks.items()}
    ends = {name: costs[-1] for name, (_, costs, _) in runs.items()}
    final = runs["random"][0][-1]
    right = np.sum((answers(SQUARE, **final)[0] > 0.5) == np.array(TARGETS))
    return found | {
        "learned_zero": _learned(words, "zero", runs["zero"][0][-1]),
        "learned_random": _learned(words, "random", final),
        "costs": _costs(words, runs), "units": _units(words, runs),
        "steps": len(runs["zero"][1]) - 1, "right": int(right),
        "zero_end": number(ends["zero"], 4), "random_end": number(ends["random"], 4),
    }  # fmt: skip


def _twins(words: Words, name: str, track: list[dict[str, Any]]) -> Html:
    """The first weight of each hidden unit, step by step."""
    pairs = [p["W1"][:, 0] for p in track[: FIRST + 1]]
    known = [float(x) for pair in pairs for x in pair if np.isfinite(x)] or [0.0]
    low, high = min(known), max(known)
    if high - low < 0.1:
        low, high = -0.5, 0.5
    room = (high - low) * 0.15
    plot = plots.Plot((56, 18, 300, 190), (0, FIRST), (low - room, high + room))
    body = plot.axes((0, 20, 40, 60), (low, (low + high) / 2, high), y_text=lambda y: number(y, 1))
    apart = name == "random"
    body += plot.curve(
        [(i, float(pair[0])) for i, pair in enumerate(pairs)], "cv" if apart else "cv thick"
    )
    body += plot.curve(
        [(i, float(pair[1])) for i, pair in enumerate(pairs)], "cw dash" if apart else "cw"
    )
    end = plot.right(FIRST) - 4
    if apart:
        body += plots.text(end, plot.down(pairs[-1][0]) - 10, letters("w_11"), "v b", "end", 17)
        body += plots.text(end, plot.down(pairs[-1][1]) + 22, letters("w_21"), "w b", "end", 17)
    else:
        same = f"{letters('w_11')} = {letters('w_21')}"
        body += plots.text(end, plot.down(pairs[-1][0]) - 14, same, "b", "end", 17)
    body += plots.text(206, 254, words["fig.step"], "mut")
    return plots.svg(372, 262, body, words[f"s8.twins_{name}"])


def _learned(words: Words, name: str, p: dict[str, Any]) -> Html:
    grid = plots.grid_of(lambda points: answers(points, **p), (-0.5, 1.5), (-0.5, 1.5))
    return plots.four_points(words[f"s8.learned{name}"], lambda plot: plot.boundary(grid), TARGETS)


def _costs(words: Words, runs: dict[str, Run]) -> Html:
    steps = len(runs["zero"][1]) - 1
    plot = plots.Plot((60, 24, 300, 290), (0, steps), (-3.1, 0), True)
    body = plot.axes((0, 200, 400), (-3, -2, -1, 0), y_text=lambda y: f"{10.0**y:g}")
    few = [*range(60), *range(60, steps + 1, 6)]
    for name, kind in (("zero", "ci dash"), ("random", "cv")):
        body += plot.curve([(i, runs[name][1][i]) for i in few], kind)
    body += plots.text(plot.right(200), plot.down(0.56) + 24, words["s8.zerostart"])
    body += plots.text(plot.right(110), plot.down(0.03), words["s8.randomstart"], "v", "start")
    body += plots.text(210, 358, words["fig.step"], "mut")
    body += plots.text(2, 14, words["fig.cost"], "mut", "start")
    return plots.svg(386, 366, body, words["s8.costs"])


def _units(words: Words, runs: dict[str, Run]) -> Html:
    chosen = [*SHOWN, len(runs["zero"][1]) - 1]
    head = [words["fig.step"], *map(str, chosen)]
    rows = [
        (words[f"s8.{name}start"], *(plots.size(apart[i]) for i in chosen))
        for name, (_, _, apart) in runs.items()
    ]
    return table(head, rows, words["s8.units"])
