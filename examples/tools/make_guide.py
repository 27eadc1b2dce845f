"""Write what the guide takes from the package: the tables of names, the catalogue of mistakes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from tinygrad_edu.core import habits
from tinygrad_edu.diagnosis.registry import MISTAKES

GUIDE = Path(__file__).parents[1] / "guide"


def names() -> str:
    """The tables of names, as the errors have them."""
    package = {
        name: here for name, here in habits.OF_THE_PACKAGE.items() if name not in habits.OF_A_VALUE
    }
    of_some = {
        f"{name}= of {functions.replace(' ', ', ')}": here
        for functions, words in habits.ARGUMENTS_OF.items()
        for name, here in words.items()
    }
    return "\n".join([
        *table("Of a Value `v`", "v.{}", habits.OF_A_VALUE),
        *table("Of NumPy, for a Value `v`", "np.{}", habits.OF_NUMPY),
        *table("Of the package, `tg`, and of `tg.nn`", "{}", package),
        *table("Of a network", "net.{}", habits.OF_NETWORKS),
        *table("Of an optimiser", "optimiser.{}", habits.OF_OPTIMISERS),
        *table("Of a history", "history.{}", habits.OF_HISTORY),
        *table("Keywords", "{}=", habits.ARGUMENTS),
        *table("Keywords of some functions only", "{}", of_some),
        *table("A layer's activation", "'{}'", habits.ACTIVATIONS),
        *table("A network's loss", "'{}'", habits.LOSSES),
    ])  # fmt: skip


def table(title: str, form: str, words: Mapping[str, str]) -> Iterator[str]:
    yield from (f"### {title}", "", "| there | here |", "|---|---|")
    for name in sorted(words, key=str.lower):
        yield f"| `{form.format(name)}` | {words[name]} |"
    yield ""


def mistakes() -> str:
    """The mistakes that the checker knows by name, family by family, as the command prints them."""
    lines = [
        "Of a net `Z1 = W1 @ X + b1`, `A1 = np.tanh(Z1)`, … or the model that the line names, each",
        "of these lines is wrong. `tinygrad-edu mistakes` prints the same.",
        "",
    ]
    for family in dict.fromkeys(mistake.family for mistake in MISTAKES):
        lines += [f"### {family}", "", "| name | what happened | a line |", "|---|---|---|"]
        for mistake in MISTAKES:
            if mistake.family == family:
                line = mistake.example and f"`{mistake.example}`"
                lines.append(f"| `{mistake.name}` | {mistake.meaning} | {line} |")
        lines.append("")
    return "\n".join(lines)


def write(page: str, heading: str, text: str) -> None:
    """Put a text below a heading, the last of its page."""
    path = GUIDE / page
    above = path.read_text(encoding="utf-8").split(f"{heading}\n")[0]
    path.write_text(f"{above}{heading}\n\n{text}", encoding="utf-8")


if __name__ == "__main__":
    write("coming_from.md", "## Names", names())
    write("mistakes.md", "## The catalogue", mistakes())
