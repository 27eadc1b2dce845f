"""What is said to people, in two languages: no key, no placeholder is missing in either."""

from __future__ import annotations

import copy
import html
import pickle
import re
import string
from pathlib import Path

import pytest

import tinygrad_edu as tg
from tinygrad_edu import cli, words
from tinygrad_edu.diagnosis.claims import KINDS
from tinygrad_edu.diagnosis.registry import MISTAKES
from tinygrad_edu.words import Words, say, together

ROOT = Path(__file__).parent.parent
#: Sentences whose English stands beside the test that proves them, or beside their example.
BESIDE = {f"claim.{name}": kind.text for name, kind in KINDS.items()} | {
    f"mistake.{mistake.name}": mistake.meaning for mistake in MISTAKES
} | {f"family.{mistake.family}": mistake.family for mistake in MISTAKES}  # fmt: skip


def test_each_language_has_the_same_texts_with_the_same_placeholders():
    english = words.catalogue("en") | BESIDE
    for language in words.LANGUAGES:
        texts = words.catalogue(language) | (BESIDE if language == "en" else {})
        assert texts.keys() == english.keys()
        for key, text in texts.items():
            assert words.placeholders(text) == words.placeholders(english[key]), key
            assert re.findall(r"</?\w+", text) or not re.search("<(?![ =,])", text)


def test_no_persian_text_is_english_and_its_digits_in_mathematics_are_latin():
    formulas = {"language.direction", "s2.relu", "s2.leaky_relu", "s7.one", "s9.tanh"}
    signs = {"error.in_sheet", "note.space", "note.and", "diagnosis.sentence", "column.mark"}
    for key, text in words.catalogue("fa").items():
        if key not in formulas | signs:
            assert re.search("[\u0600-\u06ff]", text), key
        assert not re.search("[\u06f0-\u06f9\u0660-\u0669]", text), key


def test_every_text_the_code_says_by_its_key_is_there():
    keys = words.catalogue("en")
    for file in (ROOT / "tinygrad_edu").rglob("*.py"):
        for key in re.findall(r'\b(?:say|together)\(\s*"([a-z_.]+)"', file.read_text("utf-8")):
            assert key in keys, f"{file.name}: {key}"


def test_a_sentence_keeps_its_key_through_copies_and_can_be_said_in_the_other_language():
    one = say("note.m_missing", names="dW1")
    both = together("note.and", one, say("note.kink"), "as it is")
    assert both == f"{one}; {say('note.kink')}; as it is"
    for again in (copy.deepcopy(both), pickle.loads(pickle.dumps(both))):
        said = Words("fa").says(again)
        assert said == f"{Words('fa').says(one)}؛ {Words('fa')['note.kink']}؛ as it is"
    assert Words("fa").says("anything else") == "anything else"
    assert Words("en").says(both) == both


def latin_words(text: str) -> set[str]:
    """English words of a Persian text: neither names nor formulas of a sheet."""
    return set(re.findall(r"\b(?:the|is|of|line|with|right|missing|gradient)\b", text))


SHEETS = sorted((ROOT / "tests" / "sheets").glob("*.sheet"))


@pytest.mark.parametrize("path", SHEETS, ids=[path.stem for path in SHEETS])
@pytest.mark.one_in(30)
def test_a_judged_sheet_is_reported_in_persian(path):
    report = tg.check_sheet(path)
    fa = Words("fa")
    for row in report.rows:
        if row.diagnosis:
            assert not latin_words(fa.says(row.diagnosis.explanation)), row.diagnosis.explanation
        if isinstance(row.note, words.Said):  # an error of an operation is in English
            assert not latin_words(fa.says(row.note)), row.note
    page = report.to_html(language="fa")
    assert '<html lang="fa" dir="rtl">' in page
    assert fa["report.rules"] in page
    assert fa["verdict.correct"] in page or not any(r.verdict == "correct" for r in report.rows)


def bare(text: str) -> str:
    """A text without the signs that say in which direction its parts go."""
    return re.sub("[\u2066\u2069]", "", text)


def test_a_formula_goes_from_left_to_right_in_a_persian_line_of_the_terminal(capsys):
    sheet = str(ROOT / "examples" / "mistaken.sheet")
    assert cli.main(["check", sheet, "--lang", "fa"]) == 1
    printed = capsys.readouterr().out
    assert ": \u2066dZ1 = W2.T @ dZ2 * (1 - Z1**2)\u2069" in printed
    assert all(line.count("\u2066") == line.count("\u2069") for line in printed.splitlines())
    assert cli.main(["check", sheet, "--lang", "en"]) == 1
    assert "\u2066" not in capsys.readouterr().out


def test_check_speaks_the_language_asked_for_or_that_of_the_environment(
    tmp_path, capsys, monkeypatch
):
    sheet = str(ROOT / "examples" / "mistaken.sheet")
    page = tmp_path / "page.html"
    for variable in ("LC_ALL", "LC_MESSAGES"):
        monkeypatch.delenv(variable, raising=False)
    outputs = []
    for lang, options in (("en_US.UTF-8", ["--lang", "fa"]), ("fa_IR.UTF-8", [])):
        monkeypatch.setenv("LANG", lang)
        assert cli.main(["check", sheet, "--html", str(page), *options]) == 1
        outputs.append((capsys.readouterr().out, page.read_text("utf-8")))
    assert outputs[0] == outputs[1]
    printed, written = outputs[0]
    assert "نادرست" in printed
    assert "مشتق A1 نسبت به Z1" in bare(printed).replace("\n", " ")
    assert 'dir="rtl"' in written
    assert "<svg" in written
    assert 'href="#graph0"' in written


@pytest.mark.parametrize("path", SHEETS, ids=[path.stem for path in SHEETS])
@pytest.mark.one_in(30)
def test_why_a_rule_is_so_is_told_in_persian_its_formulas_from_left_to_right(path):
    for rule in tg.load_sheet(path).derive():
        why = rule.explanation
        for line in why.to_text("fa").splitlines():
            words_, *formulas = re.split("\u2066[^\u2066\u2069]*\u2069", line)
            outside = re.sub(r"^ *(\d+\. )?", "", "".join([words_, *formulas]))
            assert not re.search(r"[A-Za-z0-9=·∂@]", outside), line
        assert not latin_words(why.to_text("fa")), why.to_text("fa")
        assert 'class="why" lang="fa" dir="rtl"' in why.to_html("fa")


def test_derive_says_why_in_the_language_asked_for(capsys):
    sheet = str(ROOT / "examples" / "mistaken.sheet")
    for form in ("text", "mathml"):
        assert cli.main(["derive", sheet, "--why", "--as", form, "--lang", "fa"]) == 0
        assert "قاعده‌ی زنجیره‌ای" in capsys.readouterr().out


CODE = """
import numpy as np
numbers = {"W": np.ones((2, 3)), "b": np.zeros((2, 1))}
X, Y = np.arange(12.0).reshape(3, 4) / 7, np.arange(8.0).reshape(2, 4) / 5
def run(numbers):
    A = np.tanh(numbers["W"] @ X + numbers["b"])
    dZ = (A - Y) * (1 - A)
    return np.sum((A - Y) ** 2) / 2, {"W": dZ @ X.T, "b": dZ.sum(axis=1, keepdims=True)}
"""


def test_code_is_judged_in_persian_its_lines_stay_from_left_to_right(tmp_path, capsys):
    file, page = tmp_path / "mine.py", tmp_path / "page.html"
    file.write_text(CODE, encoding="utf-8")
    assert cli.main(["check-code", str(file), "--lang", "fa", "--html", str(page)]) == 1
    printed = capsys.readouterr().out.replace("\n", " ")
    assert "از 2 گرادیان 2 گرادیان نادرست است" in printed
    assert "توان دوم جا افتاده است: A ** 2" in re.sub(" +", " ", printed)
    assert not latin_words(printed)
    written = page.read_text("utf-8")
    assert '<html lang="fa" dir="rtl">' in written
    assert '<bdi dir="ltr">A ** 2</bdi>' in written
    assert "table.source{direction:ltr}" in written


@pytest.mark.parametrize(("text", "said"), [
    ("x: (2,)\ny = (x +\n", "سطر 2، ستون 5: پرانتزی بسته نشده"),
    ("x: (2,)\nJ = x * 2\n", "باید یک عدد باشد، شکل آن (2,) است"),
    ("x1: ()\nJ = xl**2\n", "xl تعریف نشده است؛ آیا منظور x1 است؟"),
    ("x: ()\ny = x\n", "هزینه‌ای نیست"),
    ("x: ()\nJ = foo(x)\n", "foo"),
])  # fmt: skip
def test_what_is_wrong_with_a_sheet_is_told_in_persian_with_its_place(text, said, tmp_path, capsys):
    sheet = tmp_path / "a.sheet"
    sheet.write_text(text, encoding="utf-8")
    assert cli.main(["check", str(sheet), "--lang", "fa"]) == 2
    printed = " ".join(capsys.readouterr().out.split())
    assert said in bare(printed)
    assert cli.main(["derive", str(sheet), "--lang", "fa"]) == 2
    assert said in capsys.readouterr().err
    assert cli.main(["derive", str(sheet)]) == 2
    assert ": line " in capsys.readouterr().err


def test_the_help_of_every_command_is_in_the_language_of_the_environment(capsys, monkeypatch):
    commands = "lecture lesson check check-code derive draw mistakes serve page new exercise"
    for command in ("", *commands.split()):
        told = {}
        for language in words.LANGUAGES:
            monkeypatch.setenv("LC_ALL", f"{language}.UTF-8")
            with pytest.raises(SystemExit) as ended:
                cli.main([*filter(None, [command]), "--help"])
            assert ended.value.code == 0
            told[language] = capsys.readouterr().out
        assert Words("fa")["help.options"] in told["fa"]
        assert Words("en")["help.options"] in told["en"]
        choices = r"\{[^}]*\}|file:line:column"
        assert not latin_words(re.sub(choices, "", told["fa"]))


def test_a_command_that_cannot_be_carried_out_says_so_in_persian(capsys):
    for argv, said in (
        (["check", "none.sheet"], "چنین پرونده‌ای نیست: 'none.sheet'"),
        (["derive", "none.sheet"], "none.sheet: چنین پرونده یا پوشه‌ای نیست"),
        (["check", "none.sheet", "--seed", "x"], "--against"),
    ):
        assert cli.main([*argv, "--lang", "fa"]) == 2
        told = capsys.readouterr()
        assert said in bare(told.out + told.err)
        assert not latin_words(bare(told.out + told.err))


def test_the_json_of_a_check_is_the_same_in_every_language(capsys):
    sheet = str(ROOT / "examples" / "mistaken.sheet")
    for language in ("en", "fa"):
        cli.main(["check", sheet, "--json", "--lang", language])
    one, other = capsys.readouterr().out.split("\n]\n")[:2]
    assert one == other


def test_the_mistakes_are_told_in_persian_too(capsys):
    assert cli.main(["mistakes", "--lang", "fa"]) == 0
    printed = capsys.readouterr().out
    for mistake in MISTAKES:
        assert f"{mistake.name}: " in printed
        assert mistake.meaning not in printed


def test_code_in_the_persian_readme_stands_in_a_run_of_its_own():
    text = (ROOT / "examples" / "README.fa.md").read_text("utf-8")
    prose = re.sub(r'<div dir="ltr">.*?</div>', "", text, flags=re.DOTALL)
    assert "`" not in prose
    code = re.findall(r"<code>(.*?)</code>", prose)
    assert html.unescape("J.backward()") in code
    assert len(code) == prose.count('<bdi dir="ltr"><code>')


def test_placeholders_are_names():
    for language in words.LANGUAGES:
        for key, text in words.catalogue(language).items():
            for _, name, spec, conversion in string.Formatter().parse(text):
                assert name is None or name.isidentifier(), key
                assert not spec, key
                assert not conversion, key
