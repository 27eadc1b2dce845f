"""The lesson page: its words in two languages, its formulas, and how it behaves in a browser."""

from __future__ import annotations

import contextlib
import io
import json
import re
from pathlib import Path

import pytest
from browser import browser, in_a_browser
from rich.console import Console

import tinygrad_edu as tg
from tinygrad_edu import cli, lecture, words
from tinygrad_edu.core.ops.table import TABLE
from tinygrad_edu.lecture import lesson
from tinygrad_edu.lecture.template import fill
from tinygrad_edu.lecture.tex import math
from tinygrad_edu.words.bidi import isolated

EXAMPLE = Path(__file__).parent.parent / "examples" / "batch_norm"


# --- words ----------------------------------------------------------------------------------------


class Asked(dict):
    """A catalogue that knows what was asked for."""

    def __init__(self, texts):
        super().__init__(texts)
        self.keys_asked = set()

    def __getitem__(self, key):
        self.keys_asked.add(key)
        return super().__getitem__(key)


@pytest.mark.slow
def test_every_text_is_asked_for(monkeypatch, tmp_path):
    asked = Asked(words.catalogue("en"))
    monkeypatch.setattr(words, "catalogue", lambda language: asked)
    made(tmp_path)
    lesson.show(EXAMPLE, tmp_path, silent(), "en")
    pages = {key for key in asked if re.match(r"(lecture|page|ways|fig|s\d|lesson)\.", key)}
    # What is said of a section that cannot be shown, and in the other scale.
    assert pages - asked.keys_asked == {"lecture.stopped", "lesson.lecture"}


@pytest.mark.parametrize(
    "variables, language",
    [
        ({}, "en"),
        ({"LANG": "fa_IR.UTF-8"}, "fa"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LANG": "fa_IR.UTF-8", "LC_ALL": "C"}, "en"),
    ],
)
def test_the_language_is_that_of_the_environment(monkeypatch, variables, language):
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert words.preferred() == language


def test_latin_runs_in_persian_text_stand_apart():
    assert isolated("هزینه 1/m است") == 'هزینه <bdi dir="ltr">1/m</bdi> است'
    assert isolated("عامل 1 - Z1**2 است") == 'عامل <bdi dir="ltr">1 - Z1**2</bdi> است'
    assert isolated("کمتر از 10⁻⁵ در 96.5%.").count('<bdi dir="ltr">') == 2
    assert '<bdi dir="ltr">10⁻⁵</bdi>' in isolated("کمتر از 10⁻⁵ است")
    assert '<bdi dir="ltr">g′ ≤ ¼</bdi>' in isolated("سیگموئید: g′ ≤ ¼")
    assert isolated("<p>A &lt; 1 است</p>") == '<p><bdi dir="ltr">A &lt; 1</bdi> است</p>'
    assert isolated("<p>only English 1/m</p>") == "<p>only English 1/m</p>"
    assert isolated("<code>الف b</code>") == "<code>الف b</code>"


# --- formulas and templates -----------------------------------------------------------------------


def test_a_formula_of_the_page_is_mathml():
    assert "<msubsup><mi>z</mi><mn>1</mn>" in math("z_1^{[2]}")
    assert "form='prefix'" in math("-a")
    assert "form='prefix'" not in math("b - a")
    assert "<mtext dir='rtl'>" in math("\\text{سلام}")
    with pytest.raises(ValueError, match="no command"):
        math(r"\nonsense")
    with pytest.raises(ValueError, match="what is"):
        math("a}")


def test_a_template_has_its_words_numbers_and_formulas():
    filled = fill("[[x|2]] {{s3.new}} $w$ ~w_11^2~ [[x|sci]]", words.Words("en"), {"x": -0.25})
    assert filled.startswith("−0.25 new <math")
    assert "[2]</tspan>" in filled
    assert filled.endswith("−2.5·10⁻¹")
    with pytest.raises(KeyError):
        fill("[[missing]]", words.Words("en"), {})
    with pytest.raises(KeyError):
        fill("{{s1.missing}}", words.Words("en"), {})


# --- the pages ------------------------------------------------------------------------------------


def silent() -> Console:
    return Console(file=io.StringIO(), width=80)


def made(folder: Path, language: str = "en", *sections: str) -> str:
    assert lecture.show(sections, folder, silent(), language) == []
    return (folder / "index.html").read_text("utf-8")


@pytest.fixture(scope="module")
def english(tmp_path_factory):
    folder = tmp_path_factory.mktemp("en")
    made(folder, "en")
    return folder / "index.html"


@pytest.fixture(scope="module")
def persian(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fa")
    made(folder, "fa")
    return folder / "index.html"


def test_the_page_has_the_slides_line_as_its_only_wrong_row(tmp_path):
    page = made(tmp_path, "en", "S4")
    [row] = re.findall(r'<tr class="bad">(.*?)</tr>', page)
    assert "slide = dz1_2 * w11_2 + dz2_2 * w21_2" in row
    assert "−0.134048" in row
    assert "−0.031502" in row
    assert page.count("✗") == 1
    assert "missing_activation_derivative" in page
    assert "dz1_1 = (dz1_2 * w11_2 + dz2_2 * w21_2) * sigmoid_prime(z1_1)" in page


@pytest.mark.slow
def test_a_wrong_rule_makes_its_row_red_and_the_exit_1(monkeypatch, tmp_path, capsys):
    [right] = TABLE["sigmoid"].rules
    monkeypatch.setattr(TABLE["sigmoid"], "rules", (lambda *a, **k: 1.3 * right(*a, **k),))
    assert cli.main(["lecture", "S4", "--out", str(tmp_path), "--lang", "en"]) == 1
    page = (tmp_path / "index.html").read_text("utf-8")
    assert page.count('<tr class="bad">') > 3
    assert 'class="verdict failed"' in page
    assert "S4 the lecture&#x27;s lines: dz1_2" in page


def test_a_lesson_of_ones_own_has_its_sheets_judged_and_explained(tmp_path):
    console = silent()
    assert lesson.show(EXAMPLE, tmp_path, console, "en") == []
    page = (tmp_path / "index.html").read_text("utf-8")
    assert page.count("<section id=") == 3
    assert page.count('<tr class="bad">') == 1
    assert "Z is divided by a deviation that is made of it" in page
    assert '<section class="why">' in page
    assert "S1, S2, S3: all that should match does." in console.file.getvalue()


@pytest.mark.parametrize(
    "content, says",
    [
        (None, "has no lesson.toml"),
        ("title = ", "lesson.toml"),
        ('title = "x"', "no .*section"),
        ('[[section]]\nlead = "x"', "section 1 has no title"),
        ('[[section]]\ntitle = "x"\npicture = "y"', "picture is not among title"),
        ('[[section]]\ntitle = "x"\nconvention = "mine"', "convention is lecture or calculus"),
        ('[[section]]\ntitle = "x"\nsheet = 3', "sheet must be a text"),
    ],
)
def test_a_folder_that_is_no_lesson_is_an_error_that_says_why(tmp_path, content, says):
    if content is not None:
        (tmp_path / "lesson.toml").write_text(content, encoding="utf-8")
    with pytest.raises(tg.GradError, match=says):
        lesson.show(tmp_path, None, silent())


def test_a_wrong_line_nobody_expects_fails_the_lesson(tmp_path):
    text = '[[section]]\ntitle = "one <b>"\nsheet = "a.sheet"\n'
    (tmp_path / "lesson.toml").write_text(text, encoding="utf-8")
    (tmp_path / "a.sheet").write_text("w: ()\nJ = w**2\ndw = w\n", encoding="utf-8")
    assert lesson.show(tmp_path, tmp_path / "out", silent(), "en") == ["S1 one <b>: dw"]
    page = (tmp_path / "out" / "index.html").read_text("utf-8")
    assert "one &lt;b&gt;" in page
    assert 'class="verdict failed"' in page


def test_a_section_whose_sheet_cannot_be_read_says_so_and_the_others_are_shown(tmp_path):
    text = '[[section]]\ntitle = "one"\nsheet = "a.sheet"\n[[section]]\ntitle = "two"\n'
    (tmp_path / "lesson.toml").write_text(text, encoding="utf-8")
    (tmp_path / "a.sheet").write_text("w: ()\nJ = w**\n", encoding="utf-8")
    [why] = lesson.show(tmp_path, tmp_path / "out", silent(), "en")
    assert why.startswith("S1 stops: ")
    page = (tmp_path / "out" / "index.html").read_text("utf-8")
    assert "This section cannot be shown" in page
    assert page.count("<section id=") == 2


# --- in a browser ---------------------------------------------------------------------------------

#: Everything a page can be measured by; as in the accessibility rules, contrast of text and ground.
MEASURE = """(() => {
const rgb = (s) => s.match(/[\\d.]+/g).map(Number);
const lum = (c) => { const a = c.slice(0, 3).map((v) => { v /= 255;
  return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
  return 0.2126 * a[0] + 0.7152 * a[1] + 0.0722 * a[2]; };
const ground = (e) => { for (; e; e = e.parentElement) {
  const q = rgb(getComputedStyle(e).backgroundColor); if (q.length < 4 || q[3] > 0.99) return q; }
  return rgb(getComputedStyle(document.body).backgroundColor); };
const contrast = (e) => { const a = lum(rgb(getComputedStyle(e).color)), b = lum(ground(e));
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05); };
document.querySelectorAll('details').forEach((d) => { d.open = true; });
const small = [], pale = [];
for (const t of document.querySelectorAll('svg text, svg tspan')) {
  if (!t.getClientRects().length || t.classList.contains('s')) continue;
  const own = [...t.childNodes].filter((n) => n.nodeType === 3).map((n) => n.data).join('');
  if (!own.replace('\\u200b', '').trim()) continue;
  const size = parseFloat(getComputedStyle(t).fontSize) * t.ownerSVGElement.getScreenCTM().a;
  if (size < 11.9) small.push(t.textContent + ' ' + size.toFixed(1)); }
const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walk.nextNode()) {
  const e = walk.currentNode.parentElement, said = walk.currentNode.data.trim();
  if (!said || e.closest('svg,script,style,title,math') || !e.getClientRects().length) continue;
  if (parseFloat(getComputedStyle(e).fontSize) < 12) small.push(said);
  if (contrast(e) < 4.5) pale.push(said.slice(0, 30)); }
for (const e of document.querySelectorAll('math mi, math mn, math mtext'))
  if (e.getClientRects().length && contrast(e) < 4.5) pale.push(e.textContent);
const over = [...document.querySelectorAll('body *')].filter((e) =>
  !e.closest('.scroll,.eq,nav,.skip,section.why,pre,svg') && e.getBoundingClientRect().width
  && (e.getBoundingClientRect().right > innerWidth + 1 || e.getBoundingClientRect().left < -1))
  .slice(0, 3).map((e) => e.tagName + ' ' + e.className + ' ' + e.textContent.slice(0, 30));
const sections = [...document.querySelectorAll('main > section')];
return {small: small.slice(0, 5), pale: pale.slice(0, 5), over,
  wide: document.documentElement.scrollWidth - innerWidth,
  unnamed: document.querySelectorAll('svg[role=img]:not(:has(title))').length,
  buttons: [...document.querySelectorAll('button')]
    .filter((b) => !(b.textContent.trim() || b.ariaLabel)).length,
  formulas: sections.map((s) => s.querySelectorAll('math').length),
  pictures: sections.map((s) => s.querySelectorAll('svg[role=img]').length),
  tables: sections.map((s) => s.querySelectorAll('table').length),
  headings: [...document.querySelectorAll('h1,h2,h3')].map((h) => +h.tagName[1]),
  outside: [...document.querySelectorAll('[src],link[href]')].length,
  text: document.body.innerText};
})()"""


@contextlib.contextmanager
def opened(page: Path, home: Path, width: int = 1280, dark: bool = False):
    with browser(home) as tab:
        tab.open(page, dark)
        tab.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=900, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip
        yield tab
        assert tab.complaints == []
        assert tab.requests == [page.resolve().as_uri()]


def check_measures(found: dict, sections: int) -> None:
    assert found["small"] == []
    assert found["pale"] == []
    assert found["over"] == []
    assert found["wide"] <= 0
    assert found["unnamed"] == found["buttons"] == found["outside"] == 0
    assert len(found["formulas"]) == sections
    assert all(b - a <= 1 for a, b in zip(found["headings"], found["headings"][1:]))
    assert "array (" not in found["text"]
    assert not re.search("[\u2500-\u257f]", found["text"])
    assert "yours" not in found["text"]


@in_a_browser
@pytest.mark.parametrize("language", ["english", "persian"])
def test_at_every_width_in_light_and_dark_it_is_read_without_effort(request, tmp_path, language):
    page = request.getfixturevalue(language)
    assert page.stat().st_size < 600_000
    for width in (390, 1280, 1920):
        for dark in (False, True):
            with opened(page, tmp_path / f"{width}{dark}", width, dark) as tab:
                found = tab.ask(MEASURE)
                check_measures(found, 9)
                assert min(found["formulas"]) > 0
                assert min(found["tables"]) > 0
                assert [n for n, has in enumerate(found["pictures"], 1) if not has] == [7]


@in_a_browser
def test_a_page_from_right_to_left_keeps_formulas_and_code_from_left_to_right(persian, tmp_path):
    with opened(persian, tmp_path) as tab:
        assert tab.ask("document.documentElement.dir + document.documentElement.lang") == "rtlfa"
        for tag in ("math", "svg", "code", "table"):
            directions = tab.ask(
                f"[...new Set([...document.querySelectorAll('main {tag}')]"
                ".map((e) => getComputedStyle(e).direction))].join()"
            )
            assert directions == "ltr", tag
        latin = tab.ask(
            "(() => { const w = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);"
            "const f = []; while (w.nextNode()) { const n = w.currentNode; const t = n.data;"
            "if (/[\\u0600-\\u06ff]/.test(t) && /[A-Za-z]{2}/.test(t)"
            "&& !n.parentElement.closest('bdi,math,svg,code,script,style,output,title'))"
            "f.push(t.trim()); } return f; })()"
        )
        assert latin == []


def slide(tab, selector: str, value: float) -> None:
    tab.ask(
        f"(() => {{ const e = document.querySelector({json.dumps(selector)}); e.value = {value};"
        "e.dispatchEvent(new Event('input')); })()"
    )


def said(tab, selector: str) -> str:
    return tab.ask(f"document.querySelector({json.dumps(selector)}).textContent")


@in_a_browser
def test_the_sliders_and_buttons_move_what_they_say(english, tmp_path):
    with opened(english, tmp_path) as tab:
        best = 0
        for angle in range(-180, 181, 15):
            for shift in (-0.6, -0.3, 0, 0.3, 0.6):
                slide(tab, "#ang", angle)
                slide(tab, "#shf", shift)
                best = max(best, int(said(tab, "#S1 output")[0]))
        assert best == 3  # a line never has all four right

        slide(tab, "#z2", 0)
        assert said(tab, "#S2 output") == "z = 0.00"
        texts = tab.ask("[...document.querySelectorAll('#S2 .num-')].map((e) => e.textContent)")
        assert texts == ["0.500", "0.250", "0.000", "1.000", "0.000", "1.000", "0.000", "1.000"]

        off = []
        for place in (0.6, 0, -2, -4):
            slide(tab, "#eps", place)
            off.append([said(tab, f"#S3 .{kind}") for kind in ("ve", "vd", "vd1")])
        assert [row[0] for row in off] == ["3.98", "1.00", "0.01", "1.0·10⁻⁴"]
        assert off[2][1].endswith("10⁻⁸") or off[2][1].endswith("10⁻⁷")
        assert off[3][2].endswith(("10⁻⁶", "10⁻⁷"))

        tab.ask("document.querySelector('#S4 button[value=f]').click()")
        assert tab.ask("document.querySelector('#S4 svg.net').classList.contains('nobw')")
        tab.ask("document.querySelector('#S4 .lk[data-k=w11_3]').focus()")
        assert tab.ask("document.querySelectorAll('#S4 svg .on').length") > 0

        tab.ask("document.querySelector('#S6 [data-group=ex] button:nth-child(2)').click()")
        assert "2.0" in tab.ask(
            "[...document.querySelectorAll('#S6 [data-ex]')].map((e) => e.textContent)"
        )
        tab.ask("document.querySelector('#S6 [data-group=outer] button:nth-child(4)').click()")
        assert "dW¹" in said(tab, "#S6 [data-lab]")
        tab.ask("document.querySelector('#S6 [data-group=sub] button:nth-child(2)').click()")
        assert tab.ask("document.querySelector('#S6 [data-sub=s]').hidden")

        slide(tab, "#S5 input", 0)
        assert said(tab, "#S5 output").startswith("step 0: cost")
        slide(tab, "#S9 input", 0)
        assert said(tab, "#S9 output") == "depth 2"
        assert tab.ask("document.querySelectorAll('#S9 .show').length") == 4

        tab.ask("document.querySelector('#S4 .enl').click()")
        assert tab.ask("document.querySelector('dialog').open")
        tab.key("Escape", 27)
        assert not tab.ask("document.querySelector('dialog').open")


@in_a_browser
def test_the_colour_of_a_factor_is_that_of_its_place_in_the_picture(english, tmp_path):
    with opened(english, tmp_path) as tab:
        colour = "getComputedStyle(document.querySelector({}))[{}]"
        for kind, shape in (("w", ".par"), ("v", ".fe"), ("g", ".be"), ("p", ".act")):
            formula = tab.ask(colour.format(f"'main math .{kind}'", "'color'"))
            assert formula == tab.ask(colour.format(f"'{shape}'", "'stroke'"))


@in_a_browser
@pytest.mark.parametrize("language", words.LANGUAGES)
def test_the_page_of_ones_own_lesson_is_read_without_effort(tmp_path, language):
    lesson.show(EXAMPLE, tmp_path, silent(), language)
    for width in (390, 1920):
        with opened(tmp_path / "index.html", tmp_path / str(width), width) as tab:
            check_measures(tab.ask(MEASURE), 3)
