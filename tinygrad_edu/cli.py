"""The command line: argparse in, calls out.

Exit codes: 0 all right, 1 something that should match does not or nothing is claimed, 2 the request
cannot be carried out, 130 interrupted.
"""

from __future__ import annotations

import argparse
import codecs
import errno
import json
import os
import sys
from collections.abc import Callable, Sequence
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any

import tinygrad_edu as tg
from tinygrad_edu import GradError, __version__
from tinygrad_edu.core.files import check_apart, is_stream
from tinygrad_edu.core.plain import in_ascii, printable
from tinygrad_edu.words import LANGUAGES, Said, Words, preferred, say, together

CONVENTIONS = ("auto", "lecture", "calculus")
WHY: dict[str, Callable[[tg.Derivation, str], str]] = {
    "text": lambda rules, language: "\n\n".join(
        [
            *rules.definitions,
            *(f"{rule}\n{printable(rule.explanation.to_text(language))}" for rule in rules),
        ]
    ),
    "mathml": lambda rules, language: "\n".join(
        rule.explanation.to_html(language) for rule in rules
    ),
}
FORMATS = ("table", "json", "csv", "junit", "gradescope", "concise")
#: Of more sheets than that the summary is printed, and the page has the rest.
MOST_TABLES = 20
SECTIONS = tuple(f"S{i}" for i in range(1, 10))


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    top = argparse.ArgumentParser(
        prog="tinygrad-edu",
        description="Automatic differentiation that explains itself: the lecture's rules derived, "
        "checked and drawn. A sheet is a derivation as a text file (see `new`); - reads it from "
        "standard input.",
        epilog="Exit codes: 0 all right; 1 something that should match does not, or nothing is "
        "claimed; 2 the request cannot be carried out; 130 interrupted.",
    )
    top.add_argument("--version", action="version", version=f"tinygrad-edu {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)

    lecture = commands.add_parser(
        "lecture",
        help="every section of the lecture: by hand, automatically, by central difference",
        description="Show the sections named, or all nine; with --out, write the page too.",
    )
    lecture.add_argument(
        "sections", nargs="*", metavar="S1 … S9", type=_section, help="which sections; default: all"
    )
    lecture.add_argument(
        "--out", metavar="DIR", type=Path, help="write the page to show in class to DIR"
    )
    _add_language(lecture)
    lecture.set_defaults(run=_lecture)

    lesson = commands.add_parser(
        "lesson",
        help="a page like the lecture's from a folder of sheets and a few words",
        description="FOLDER holds lesson.toml, which names the sections, and their sheets.",
    )
    lesson.add_argument("folder", metavar="FOLDER", type=Path, help="lesson.toml and sheets")
    lesson.add_argument("--out", metavar="DIR", type=Path, help="write the page to DIR")
    _add_language(lesson)
    lesson.set_defaults(run=_lesson)

    check = commands.add_parser(
        "check", help="judge the lines of a derivation, and say what is wrong with the wrong ones"
    )
    check.add_argument(
        "sheets",
        nargs="+",
        metavar="SHEET",
        help="a sheet, a folder or a pattern; - is standard input",
    )
    check.add_argument("--data", metavar="FILE.npz", help="numbers for the sheet's names")
    check.add_argument("--convention", choices=CONVENTIONS, default="auto", help="the scale of dZ")
    check.add_argument("--m", metavar="M", type=int, help="the number of examples, if not found")
    check.add_argument(
        "--json", dest="form", action="store_const", const="json", help="the same as --format json"
    )
    check.add_argument(
        "--format", dest="form", choices=FORMATS, default="table",
        help="how the verdicts are printed; concise: file:line:column: message",
    )  # fmt: skip
    check.add_argument("--html", metavar="FILE", type=Path, help="write the tables as a web page")
    check.add_argument(
        "--reveal", choices=("verdict", "mistake", "why", "correction"), default="correction",
        help="how much is said of a wrong line",
    )  # fmt: skip
    given = check.add_argument_group("what is handed in (each sheet in a process of its own)")
    given.add_argument(
        "--against", metavar="KEY.sheet",
        help="the net and the cost must be the key's, and its claims must be there",
    )  # fmt: skip
    given.add_argument(
        "--points", metavar="N|dZ1=3,dW1=2", type=_points, help="of each claim; default: 1"
    )
    given.add_argument(
        "--follows", metavar="SHARE", type=float,
        help="of the points, for a line that is right but for a wrong one above; default: 1",
    )  # fmt: skip
    given.add_argument(
        "--seed", metavar="NAME",
        help="whose plain numbers the key has (see `new --seed`); {name} is the submission's",
    )  # fmt: skip
    _add_language(check)
    check.set_defaults(run=_check, form="table")

    code = commands.add_parser(
        "check-code",
        help="judge back-propagation written in Python, as it stands: EXECUTES the file",
        description="Executes FILE, a script or a notebook, follows its forward and backward pass, "
        "names the mistaken line and corrects it. Only for code you would run yourself; of what "
        "strangers send, `check` a sheet.",
    )
    code.add_argument("file", metavar="FILE", help="a .py file or a notebook; it is executed")
    code.add_argument(
        "--run", dest="function", metavar="NAME", default="run",
        help="the function that gives (cost, gradients)",
    )  # fmt: skip
    code.add_argument(
        "--numbers", metavar="NAME", default="numbers", help="its argument, or a function of none"
    )
    for name, what in (
        ("forward", "forward pass"),
        ("cost", "cost"),
        ("backward", "backward pass"),
    ):
        code.add_argument(f"--{name}", metavar="F", help=f"the function of the {what}")
    code.add_argument("--parameters", metavar="P", help="their dict; of a script: W1,b1,W2,b2")
    code.add_argument("--loss", metavar="EXPR", help="a script's cost: its name or its formula")
    code.add_argument(
        "--step", action="store_true", help="a script's gradients are what its update takes away"
    )
    code.add_argument(
        "--lr", metavar="RATE", type=float, help="... over this learning rate: the numbers of lr"
    )
    code.add_argument("--json", action="store_true", help="print the report as JSON")
    code.add_argument("--html", metavar="FILE", type=Path, help="write the report as a web page")
    _add_language(code)
    code.set_defaults(run=_check_code)

    derive = commands.add_parser(
        "derive", help="print the backward rules of a sheet's forward lines"
    )
    derive.add_argument("sheet", metavar="SHEET", help="a sheet; - is standard input")
    derive.add_argument(
        "--as", dest="form", choices=("text", "latex", "numpy", "mathml"), default="text",
        help="the notation",
    )  # fmt: skip
    derive.add_argument(
        "--every", action="store_true", help="a line for every named quantity, data among them"
    )
    derive.add_argument(
        "--why", action="store_true", help="say of each line where it comes from (text, mathml)"
    )
    derive.add_argument("--wrt", metavar="Z2,W2,b2", help="only these")
    derive.add_argument(
        "--convention", choices=CONVENTIONS[1:], default="lecture", help="the scale of dZ"
    )
    derive.add_argument("--m", metavar="M", type=int, help="the number of examples, if not found")
    _add_language(derive)
    derive.set_defaults(run=_derive)

    draw = commands.add_parser("draw", help="draw the graph of a sheet's forward lines")
    draw.add_argument("sheet", metavar="SHEET", help="a sheet; - is standard input")
    draw.add_argument(
        "-o", "--out", metavar="FILE", type=Path, required=True,
        help="the picture; its suffix says what: svg, png, pdf, dot, html",
    )  # fmt: skip
    draw.add_argument("--show", choices=("forward", "backward", "both"), default="both")
    draw.add_argument(
        "--detail", choices=("lines", "operations", "parts"), default="lines",
        help="a box for each line, for each operation, or for what operations are made of",
    )  # fmt: skip
    draw.add_argument(
        "--direction", choices=("right", "down"), default="right", help="where the computation goes"
    )
    draw.add_argument(
        "--convention", choices=CONVENTIONS, default="auto",
        help="the scale of the gradients; default: that of `check`",
    )  # fmt: skip
    draw.add_argument(
        "--max-nodes", metavar="N", type=int, default=60,
        help="fold above so many boxes; 0 draws all (default: 60)",
    )  # fmt: skip
    _add_language(draw)
    draw.set_defaults(run=_draw)

    mistakes = commands.add_parser(
        "mistakes", help="print the mistakes that `check` knows by name, each with an example"
    )
    _add_language(mistakes)
    mistakes.set_defaults(run=_mistakes)

    serve = commands.add_parser(
        "serve",
        help="a page on this machine to write a derivation on, judged while you type",
        description="Prints the address of the page and opens it; Ctrl-C ends it. Only this "
        "machine can reach it. Its second tab EXECUTES the code that is typed there.",
    )
    serve.add_argument("--port", type=int, default=0, metavar="P", help="0, or none: a free one")
    serve.add_argument("--no-browser", action="store_true", help="only print the address")
    serve.set_defaults(run=_serve)

    page = commands.add_parser(
        "page", help="the page of `serve` as static files, Python in the browser"
    )
    page.add_argument("--out", metavar="DIR", type=Path, required=True, help="where to write it")
    page.add_argument(
        "--pyodide", metavar="URL|DIR", help="a release of Pyodide with NumPy; a folder is copied"
    )
    page.add_argument(
        "--viz",
        metavar="FILE",
        type=Path,
        help="the module dist/viz.js of Viz.js, which draws pictures",
    )
    page.set_defaults(run=_page)

    new = commands.add_parser("new", help="print a starter sheet, or a key with its claims blank")
    new.add_argument(
        "--blanks", metavar="KEY.sheet", nargs="?", const="",
        help="the sheet with nothing behind the = of its claims; without KEY the starter",
    )  # fmt: skip
    new.add_argument("--seed", metavar="NAME", help="draw the plain numbers from a student's name")
    new.set_defaults(run=_new)

    exercise = commands.add_parser(
        "exercise",
        help="print an exercise made by chance: a net to derive, or a mistake to find in one",
    )
    exercise.add_argument("--topic", choices=("regression", "classification", "softmax"))
    exercise.add_argument("--level", type=int, choices=(1, 2, 3), default=2, help="how many layers")
    exercise.add_argument("--seed", type=int, metavar="N", help="the same exercise again")
    exercise.add_argument(
        "--find", action="store_true", help="a whole derivation, one line of which is wrong"
    )
    exercise.add_argument(
        "--key", metavar="FILE", type=Path, help="write the key there: the derivation, all right"
    )
    exercise.set_defaults(run=_exercise)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    if sys.stdout is None:  # `>&-`
        _tell("standard output is closed")
        return 2
    codecs.register_error("in_ascii", in_ascii)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # A file or a pipe is read back as UTF-8; where there is no ∂, d is written for it.
            known = stream.isatty() or codecs.lookup(stream.encoding).name == "ascii"
            encoding = stream.encoding if known else "utf-8"
            stream.reconfigure(encoding=encoding, errors="in_ascii")
    try:
        arguments = parser().parse_args(argv)
        code: int = arguments.run(arguments)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # `… | head`: nobody reads on
        _drop_output()
        return 141
    except (GradError, OSError, ImportError, UnicodeDecodeError) as error:
        _tell(_said(error, argv))
        try:
            sys.stdout.flush()
        except OSError:  # a full disk: Python would try again at its end, and say so its own way
            _drop_output()
        return 2
    except KeyboardInterrupt:
        _tell(_words(argv)["error.interrupted"])
        return 130


def _add_language(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--lang", choices=LANGUAGES, help="the language; default: that of LANG, or en"
    )


def _tell(what: str) -> None:
    """A sentence on standard error, if there is one: `print` would take standard output."""
    if sys.stderr is not None:
        print(f"tinygrad-edu: {what}", file=sys.stderr)


def _drop_output() -> None:
    """Let what is still to be written to standard output go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _words(argv: Sequence[str] | None) -> Words:
    """The language of a command that could not be carried out, or not even be read."""
    given = list(sys.argv[1:] if argv is None else argv)
    asked = [b for a, b in pairwise(given) if a == "--lang" and b in LANGUAGES]
    return Words(asked[-1] if asked else preferred())


def _said(error: Exception, argv: Sequence[str] | None) -> str:
    words = _words(argv)
    if isinstance(error, tg.SheetError):
        return words.says(error.said)
    if isinstance(error, OSError) and error.filename and _is_missing(error):
        return words.said("error.no_file", {"file": error.filename})
    if error.args and isinstance(error.args[0], Said):
        return words.says(error.args[0])
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


def _is_missing(error: OSError) -> bool:
    """Does the system say in its usual words that a file is not there?"""
    return error.strerror == os.strerror(errno.ENOENT)


def _section(name: str) -> str:
    if name.upper() not in SECTIONS:
        known = ", ".join(SECTIONS)
        said = say("error.no_section", name=repr(name), known=known)
        raise argparse.ArgumentTypeError(_words(None).says(said))
    return name.upper()


def _lecture(arguments: argparse.Namespace) -> int:
    from tinygrad_edu.lecture import show

    return 1 if show(arguments.sections, arguments.out, None, arguments.lang) else 0


def _lesson(arguments: argparse.Namespace) -> int:
    from tinygrad_edu.lecture.lesson import show

    return 1 if show(arguments.folder, arguments.out, None, arguments.lang) else 0


def _check(arguments: argparse.Namespace) -> int:
    beside = [Path(sheet).with_suffix(".npz") for sheet in arguments.sheets if Path(sheet).name]
    check_apart(arguments.html, *arguments.sheets, *beside, arguments.data)
    batch, words = _judged(arguments), Words(arguments.lang or preferred())
    if arguments.form == "table":
        shown = batch.reports if len(batch.reports) <= MOST_TABLES else []
        summary = [batch.shown(words)] if len(batch.reports) > 1 else []
        _print(*(report.shown(words) for report in shown), *summary)
    else:
        from tinygrad_edu.classroom.formats import written

        letters = (sys.stdout.encoding or "utf-8").lower() == "utf-8"
        text = written(batch, arguments.form, ascii=not letters)
        if text:
            print(text)
    if arguments.html:
        from tinygrad_edu.drawing.renderer import write

        pictures = [_pictured(report, words) for report in batch.reports]
        write(arguments.html, batch.to_html(pictures, words.language).encode())
    return batch.exit_code


def _judged(arguments: argparse.Namespace) -> tg.Batch:
    from tinygrad_edu.classroom.grading import grade, sheets_in
    from tinygrad_edu.classroom.reveal import revealed

    given = {
        name: value for name in ("points", "follows", "seed")
        if (value := getattr(arguments, name)) is not None
    }  # fmt: skip
    how = (arguments.data, arguments.convention, arguments.m)
    if arguments.against is not None:
        names = arguments.sheets
        return grade(arguments.against, names, *how, reveal=arguments.reveal, **given)
    if given:
        raise GradError(say("error.needs_against", option=next(iter(given))))
    batch = tg.check_sheets(sheets_in(arguments.sheets), *how)
    return tg.Batch([revealed(report, arguments.reveal) for report in batch.reports])


def _points(text: str) -> float | dict[str, float]:
    try:
        if "=" not in text:
            return float(text)
        pairs = [part.split("=") for part in text.split(",")]
        return {name.strip(): float(number) for name, number in pairs}
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number or dZ1=3,dW1=2") from None


def _check_code(arguments: argparse.Namespace) -> int:
    from tinygrad_edu.tracing.files import check_file

    check_apart(arguments.html, arguments.file)
    calls = [arguments.forward, arguments.cost, arguments.backward]
    if any(calls) and not all(calls):
        raise GradError(say("error.together"))
    os.stat(arguments.file)  # what is not there is not executed
    words = Words(arguments.lang or preferred())
    _tell(words.said("error.executing", {"file": arguments.file}))
    report = check_file(
        arguments.file, arguments.function, arguments.numbers, calls if all(calls) else (),
        arguments.loss, arguments.parameters, arguments.step, arguments.lr,
    )  # fmt: skip
    if arguments.json:
        letters = (sys.stdout.encoding or "utf-8").lower() == "utf-8"
        print(json.dumps(report.to_json(), indent=1, ensure_ascii=not letters))
    else:
        _print(report.shown(words))
    if arguments.html:
        from tinygrad_edu.drawing.renderer import write

        write(arguments.html, report.to_html(words.language).encode())
    return report.exit_code


def _print(*tables: Any) -> None:
    from rich.console import Console

    # Away from a terminal rich assumes 80 columns, too few for the tables.
    console = Console(width=None if sys.stdout.isatty() else 110)
    for table in tables:
        console.print(table)


def _derive(arguments: argparse.Namespace) -> int:
    if arguments.why and arguments.form not in WHY:
        raise GradError(
            say("error.why_forms", forms=together("error.or", *WHY), form=arguments.form)
        )
    sheet = tg.load_sheet(arguments.sheet)
    wrt = [name.strip() for name in arguments.wrt.split(",")] if arguments.wrt else None
    rules = sheet.derive(wrt, arguments.convention, arguments.every, m=arguments.m)
    forms: dict[str, Callable[[Any], str]] = {
        "text": str,
        "latex": tg.Derivation.to_latex,
        "numpy": tg.Derivation.to_numpy,
        "mathml": tg.Derivation.to_mathml,
    }
    if sys.stderr is not None:  # what is said of the lines is not among them: these may be piped on
        words = Words(arguments.lang or preferred())
        print(words.says(_scale(rules)), file=sys.stderr)
        if rules.left_out:
            names = ", ".join(rules.left_out)
            print(words.said("error.left_out", {"names": names}), file=sys.stderr)
    language = arguments.lang or preferred()
    print(WHY[arguments.form](rules, language) if arguments.why else forms[arguments.form](rules))
    return 0


def _scale(rules: tg.Derivation) -> str:
    """The scale of each line: m times the derivative, or the derivative itself."""
    scaled = [rule for rule in rules if rule.scale]
    convention = say("error.lectures_scale") if rules.convention == "lecture" else ""
    if not scaled:
        return say("error.all_derivatives", convention=convention)
    names = ", ".join(rule.name for rule in scaled)
    others = "" if len(scaled) == len(rules) else say("error.others_are")
    scale = scaled[0].scale
    return say("error.scaled", convention=convention, scale=scale, names=names, others=others)


def _draw(arguments: argparse.Namespace) -> int:
    check_apart(arguments.out, arguments.sheet, Path(arguments.sheet).with_suffix(".npz"))
    sheet = tg.load_sheet(arguments.sheet)
    from tinygrad_edu.reports.report import wrong_lines

    words = Words(arguments.lang or preferred())
    convention, wrong = wrong_lines(sheet, arguments.convention)
    sheet.cost.backward()
    written = tg.render(
        sheet.cost, arguments.out, show=arguments.show, detail=arguments.detail,
        direction=arguments.direction, convention=convention,
        max_nodes=arguments.max_nodes or None, language=words.language,
        verdicts={of: words.said("draw.wrong", {"line": line}) for of, line in wrong.items()},
    )  # fmt: skip
    if not is_stream(written):  # which may be this very output
        print(written)
    return 0


def _pictured(report: Any, words: Words) -> str:
    """The graph of a judged sheet as SVG, its wrong lines marked; nothing for an unreadable one."""
    if report.judged is None:
        return ""
    cost = report.judged.sheet.cost
    cost.backward()
    wrong = {
        row.of: words.said("draw.wrong", {"line": row.formula})
        for row in report.rows
        if row.verdict == "wrong"
    }
    picture = tg.draw(cost, convention=report.convention, verdicts=wrong, language=words.language)
    svg = picture.pipe(format="svg", encoding="utf-8")
    return str(svg[svg.index("<svg") :])


def _mistakes(arguments: argparse.Namespace) -> int:
    from tinygrad_edu.diagnosis.registry import MISTAKES

    words = Words(arguments.lang or preferred())
    print(words["mistakes.intro"])
    for family in dict.fromkeys(mistake.family for mistake in MISTAKES):
        print(f"\n{words.says(Said(family, f'family.{family}'))}")
        for mistake in MISTAKES:
            if mistake.family == family:
                meaning = words.says(Said(mistake.meaning, f"mistake.{mistake.name}"))
                print(f"  {mistake.name}: {meaning}")
                if mistake.example:
                    print(f"      {mistake.example}")
    return 0


def _serve(arguments: argparse.Namespace) -> int:
    from tinygrad_edu.workbench.server import serve

    serve(arguments.port, not arguments.no_browser)
    return 0


def _page(arguments: argparse.Namespace) -> int:
    from tinygrad_edu.workbench.files import write

    write(arguments.out, arguments.pyodide, arguments.viz)
    print(arguments.out / "index.html")
    return 0


def _new(arguments: argparse.Namespace) -> int:
    starter = (resources.files("tinygrad_edu.lecture") / "sheets" / "starter.sheet").read_text(
        "utf-8"
    )
    if arguments.blanks is None:
        if arguments.seed is not None:
            raise GradError(say("error.seed_blanks"))
        print(starter, end="")
        return 0
    from tinygrad_edu.classroom.blanks import blank
    from tinygrad_edu.classroom.numbers import numbered
    from tinygrad_edu.sheets.sheet import Sheet

    sheet = tg.load_sheet(arguments.blanks) if arguments.blanks else Sheet(starter)
    if arguments.seed is not None:
        sheet = Sheet(numbered(sheet.source, arguments.seed), arguments.blanks)
    print(blank(sheet), end="")
    return 0


def _exercise(arguments: argparse.Namespace) -> int:
    import random

    from tinygrad_edu.classroom.exercise import exercise
    from tinygrad_edu.core.files import write_whole

    seed = random.randrange(10**6) if arguments.seed is None else arguments.seed  # noqa: S311
    made = exercise(arguments.topic, arguments.level, seed, arguments.find)
    if arguments.key is not None:
        write_whole(arguments.key, lambda file: file.write(made.key.encode()))
    print(made.text, end="")
    return 0
