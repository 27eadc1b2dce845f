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


def parser(words: Words) -> argparse.ArgumentParser:
    """The commands and their options, told in a language."""
    top = argparse.ArgumentParser(
        prog="tinygrad-edu",
        description=words["help.top_description"],
        epilog=words["help.top_epilog"],
    )
    top.add_argument("--version", action="version", version=f"tinygrad-edu {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)

    lecture = commands.add_parser(
        "lecture",
        help=words["help.lecture"],
        description=words["help.lecture_description"],
    )
    lecture.add_argument(
        "sections", nargs="*", metavar="S1 … S9", type=_section, help=words["help.lecture_sections"]
    )
    lecture.add_argument("--out", metavar="DIR", type=Path, help=words["help.lecture_out"])
    _add_language(lecture, words)
    lecture.set_defaults(run=_lecture)

    lesson = commands.add_parser(
        "lesson",
        help=words["help.lesson"],
        description=words["help.lesson_description"],
    )
    lesson.add_argument("folder", metavar="FOLDER", type=Path, help=words["help.lesson_folder"])
    lesson.add_argument("--out", metavar="DIR", type=Path, help=words["help.lesson_out"])
    _add_language(lesson, words)
    lesson.set_defaults(run=_lesson)

    check = commands.add_parser("check", help=words["help.check"])
    check.add_argument(
        "sheets",
        nargs="+",
        metavar="SHEET",
        help=words["help.check_sheets"],
    )
    check.add_argument("--data", metavar="FILE.npz", help=words["help.check_data"])
    check.add_argument(
        "--convention", choices=CONVENTIONS, default="auto", help=words["help.check_convention"]
    )
    check.add_argument("--m", metavar="M", type=int, help=words["help.check_m"])
    check.add_argument(
        "--json", dest="form", action="store_const", const="json", help=words["help.check_json"]
    )
    check.add_argument(
        "--format", dest="form", choices=FORMATS, default="table",
        help=words["help.check_format"],
    )  # fmt: skip
    check.add_argument("--html", metavar="FILE", type=Path, help=words["help.check_html"])
    check.add_argument(
        "--reveal", choices=("verdict", "mistake", "why", "correction"), default="correction",
        help=words["help.check_reveal"],
    )  # fmt: skip
    given = check.add_argument_group(words["help.check_group"])
    given.add_argument(
        "--against", metavar="KEY.sheet",
        help=words["help.given_against"],
    )  # fmt: skip
    given.add_argument(
        "--points", metavar="N|dZ1=3,dW1=2", type=_points, help=words["help.given_points"]
    )
    given.add_argument(
        "--follows", metavar="SHARE", type=float,
        help=words["help.given_follows"],
    )  # fmt: skip
    given.add_argument(
        "--seed", metavar="NAME",
        help=words["help.given_seed"],
    )  # fmt: skip
    _add_language(check, words)
    check.set_defaults(run=_check, form="table")

    code = commands.add_parser(
        "check-code",
        help=words["help.check_code"],
        description=words["help.check_code_description"],
    )
    code.add_argument("file", metavar="FILE", help=words["help.code_file"])
    code.add_argument(
        "--run", dest="function", metavar="NAME", default="run",
        help=words["help.code_run"],
    )  # fmt: skip
    code.add_argument(
        "--numbers", metavar="NAME", default="numbers", help=words["help.code_numbers"]
    )
    for name in ("forward", "cost", "backward"):
        code.add_argument(f"--{name}", metavar="F", help=words[f"help.code_{name}"])
    code.add_argument("--parameters", metavar="P", help=words["help.code_parameters"])
    code.add_argument("--loss", metavar="EXPR", help=words["help.code_loss"])
    code.add_argument("--step", action="store_true", help=words["help.code_step"])
    code.add_argument("--lr", metavar="RATE", type=float, help=words["help.code_lr"])
    code.add_argument("--json", action="store_true", help=words["help.code_json"])
    code.add_argument("--html", metavar="FILE", type=Path, help=words["help.code_html"])
    _add_language(code, words)
    code.set_defaults(run=_check_code)

    derive = commands.add_parser("derive", help=words["help.derive"])
    derive.add_argument("sheet", metavar="SHEET", help=words["help.derive_sheet"])
    derive.add_argument(
        "--as", dest="form", choices=("text", "latex", "numpy", "mathml"), default="text",
        help=words["help.derive_as"],
    )  # fmt: skip
    derive.add_argument("--every", action="store_true", help=words["help.derive_every"])
    derive.add_argument("--why", action="store_true", help=words["help.derive_why"])
    derive.add_argument("--wrt", metavar="Z2,W2,b2", help=words["help.derive_wrt"])
    derive.add_argument(
        "--convention",
        choices=CONVENTIONS[1:],
        default="lecture",
        help=words["help.derive_convention"],
    )
    derive.add_argument("--m", metavar="M", type=int, help=words["help.derive_m"])
    _add_language(derive, words)
    derive.set_defaults(run=_derive)

    draw = commands.add_parser("draw", help=words["help.draw"])
    draw.add_argument("sheet", metavar="SHEET", help=words["help.draw_sheet"])
    draw.add_argument(
        "-o", "--out", metavar="FILE", type=Path, required=True,
        help=words["help.draw_out"],
    )  # fmt: skip
    draw.add_argument("--show", choices=("forward", "backward", "both"), default="both")
    draw.add_argument(
        "--detail", choices=("lines", "operations", "parts"), default="lines",
        help=words["help.draw_detail"],
    )  # fmt: skip
    draw.add_argument(
        "--direction", choices=("right", "down"), default="right", help=words["help.draw_direction"]
    )
    draw.add_argument(
        "--convention", choices=CONVENTIONS, default="auto",
        help=words["help.draw_convention"],
    )  # fmt: skip
    draw.add_argument(
        "--max-nodes", metavar="N", type=int, default=60,
        help=words["help.draw_max_nodes"],
    )  # fmt: skip
    _add_language(draw, words)
    draw.set_defaults(run=_draw)

    mistakes = commands.add_parser("mistakes", help=words["help.mistakes"])
    _add_language(mistakes, words)
    mistakes.set_defaults(run=_mistakes)

    serve = commands.add_parser(
        "serve",
        help=words["help.serve"],
        description=words["help.serve_description"],
    )
    serve.add_argument("--port", type=int, default=0, metavar="P", help=words["help.serve_port"])
    serve.add_argument("--no-browser", action="store_true", help=words["help.serve_no_browser"])
    serve.set_defaults(run=_serve)

    page = commands.add_parser("page", help=words["help.page"])
    page.add_argument("--out", metavar="DIR", type=Path, required=True, help=words["help.page_out"])
    page.add_argument("--pyodide", metavar="URL|DIR", help=words["help.page_pyodide"])
    page.add_argument(
        "--viz",
        metavar="FILE",
        type=Path,
        help=words["help.page_viz"],
    )
    page.set_defaults(run=_page)

    new = commands.add_parser("new", help=words["help.new"])
    new.add_argument(
        "--blanks", metavar="KEY.sheet", nargs="?", const="",
        help=words["help.new_blanks"],
    )  # fmt: skip
    new.add_argument("--seed", metavar="NAME", help=words["help.new_seed"])
    new.set_defaults(run=_new)

    exercise = commands.add_parser(
        "exercise",
        help=words["help.exercise"],
    )
    exercise.add_argument("--topic", choices=("regression", "classification", "softmax"))
    exercise.add_argument(
        "--level", type=int, choices=(1, 2, 3), default=2, help=words["help.exercise_level"]
    )
    exercise.add_argument("--seed", type=int, metavar="N", help=words["help.exercise_seed"])
    exercise.add_argument("--find", action="store_true", help=words["help.exercise_find"])
    exercise.add_argument("--key", metavar="FILE", type=Path, help=words["help.exercise_key"])
    exercise.set_defaults(run=_exercise)
    for command in (top, *commands.choices.values()):
        command._positionals.title = words["help.positionals"]
        command._optionals.title = words["help.options"]
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
        arguments = parser(_words(argv)).parse_args(argv)
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


def _add_language(command: argparse.ArgumentParser, words: Words) -> None:
    command.add_argument("--lang", choices=LANGUAGES, help=words["help.command_lang"])


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
        "text": lambda rules: rules.text,
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
                print(f"  {mistake.name}: {words.says(mistake.said)}")
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
