"""The workbench: what it answers, whom, and how its page behaves in a browser."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import zlib
from base64 import urlsafe_b64encode
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from browser import browser, in_a_browser

from tinygrad_edu import cli
from tinygrad_edu.workbench import code
from tinygrad_edu.workbench.answering import answer, answer_text
from tinygrad_edu.workbench.code import EXAMPLE
from tinygrad_edu.workbench.files import gallery, write
from tinygrad_edu.workbench.server import MOST_BYTES, Bench

MISTAKEN = gallery()["a mistake to find"]
RIGHT = MISTAKEN.replace("1 - Z1**2", "1 - A1**2")


# --- what is answered -----------------------------------------------------------------------------


def checked(text):
    return answer({"kind": "check", "text": text})


def test_a_wrong_line_has_its_reason_and_the_change_that_makes_it_right():
    rows = checked(MISTAKEN)["rows"]
    assert [(r["line"], r["verdict"]) for r in rows[-3:]] == [
        (20, "wrong"), (21, "follows"), (22, "follows"),
    ]  # fmt: skip
    change = rows[-3]["change"]
    assert change == {"from": 20, "to": 20, "text": "dZ1 = W2.T @ dZ2 * (1 - A1**2)"}
    assert checked(taken(MISTAKEN, change))["ok"]


def taken(text, change):
    """A text with a change taken."""
    lines = text.split("\n")
    lines[change["from"] - 1 : change["to"]] = [change["text"]]
    return "\n".join(lines)


@pytest.mark.parametrize(
    "line",
    [
        "delta1: dZ1 = W2.T @ dZ2 * (1 - Z1**2)  # mine",
        "dZ1 = (W2.T @ dZ2 *\n       (1 - Z1**2))",
    ],
)
def test_a_change_keeps_ones_own_name_and_remark_and_takes_all_lines_of_a_statement(line):
    text = MISTAKEN.replace("dZ1 = W2.T @ dZ2 * (1 - Z1**2)", line)
    text = text.replace("m * dZ1", "m * delta1").replace("sum(dZ1", "sum(delta1")
    if not line.startswith("delta1"):
        text = text.replace("delta1", "dZ1")
    [row] = [row for row in checked(text)["rows"] if row["verdict"] == "wrong"]
    changed = taken(text, row["change"])
    assert checked(changed)["ok"]
    assert ("delta1: dZ1 = " in changed) == line.startswith("delta1")
    assert ("# mine" in changed) == ("# mine" in line)


def test_what_is_no_sheet_is_an_error_at_its_place():
    assert checked("J = = 1")["line"] == 1
    assert checked("")["error"].startswith("there is no cost")
    assert "200000 characters" in checked("x" * 1_000_000)["error"]


def test_an_explanation_has_rules_with_their_why_numbers_gradients_and_the_graph():
    made = json.loads(answer_text(json.dumps({"kind": "explain", "text": MISTAKEN})))
    assert [rule["name"] for rule in made["rules"]] == ["dZ2", "dW2", "db2", "dZ1", "dW1", "db1"]
    assert all(rule["mathml"].startswith("<math") and rule["why"] for rule in made["rules"])
    assert len(made["numbers"]["W1"]["grad"]) == 4
    assert made["svg"].startswith("<svg")
    assert "wrong: dZ1" in made["svg"]


def test_numbers_that_are_chosen_move_the_gradients_and_old_ones_are_left_out():
    text = "w: ()\nb: (2,)\nJ = w**2 * np.sum(b)\ndw = 2 * w * np.sum(b)\n"
    chosen = {"w": 3.0, "b": [1, 1], "old": [1]}
    made = answer({"kind": "explain", "text": text, "numbers": chosen})
    assert made["numbers"]["w"] == {"value": 3, "grad": 12}
    other_shape = answer({"kind": "explain", "text": text, "numbers": {"w": [1, 2]}})
    assert other_shape["numbers"]["w"]["value"] != 3


@pytest.mark.slow
def test_every_example_of_the_gallery_is_judged_and_explained():
    *sheets, example = gallery().values()
    for text in sheets:
        assert checked(text)["rows"]
    assert [not checked(text)["ok"] for text in sheets].count(True) == 3
    made = code.judged({"text": example})
    [row] = made["rows"]
    assert row["mistake"] == "wrong_derivative_formula"
    assert code.judged({"text": taken(example, row["change"])})["ok"]


@pytest.mark.parametrize(
    "text, says, line",
    [
        ("x = 1", "there is no function run in the file", 0),
        ("def run(:\n", "code.py, line 1: invalid syntax", 1),
        (EXAMPLE.replace("X + b)", "X + b) / None"), "run raised TypeError", 10),
        ("1 / 0\n" + EXAMPLE, "code.py raised ZeroDivisionError", 0),
        ("raise SystemExit(3)\n" + EXAMPLE, "SystemExit: 3", 0),
    ],
)
def test_code_that_cannot_be_judged_says_why_and_where(text, says, line):
    made = code.judged({"text": text})
    assert says in made["error"]
    assert made["line"] == line


# --- who is answered ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bench():
    patient = pytest.MonkeyPatch()  # on a machine that does other things too
    for name in ("SECONDS", "SECONDS_OF_CODE"):
        patient.setattr(f"tinygrad_edu.workbench.server.{name}", 90.0)
    with Bench() as bench:
        threading.Thread(target=bench.serve_forever, args=(0.05,), daemon=True).start()
        yield bench
        bench.shutdown()
    patient.undo()


def asked(bench, method, path, body=None, token=None, **headers):
    """Status, headers and body of an answer."""
    port = bench.server_address[1]
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    at = f"/{bench.token if token is None else token}/{path}"
    own = {"Host": f"127.0.0.1:{port}", "Content-Type": "application/json", "X-Tinygrad-Edu": "1"}
    own |= {name.replace("_", "-"): value for name, value in headers.items()}
    own = {name: value for name, value in own.items() if value is not None}
    connection.request(method, at, body if body is None else body.encode(), own)
    found = connection.getresponse()
    text = found.read()
    connection.close()
    return found.status, found.headers, text


TASK = json.dumps({"text": RIGHT})


def test_the_page_and_its_tasks_are_answered_on_loopback_only(bench):
    assert bench.server_address[0] == "127.0.0.1"
    status, headers, page = asked(bench, "GET", "")
    assert status == 200
    assert b"<title>Check a derivation</title>" in page
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert b"<script>" not in page
    status, _, told = asked(bench, "POST", "ask/check", TASK)
    assert status == 200
    assert json.loads(told)["ok"]


@pytest.mark.parametrize(
    "headers, status",
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "evil.example:80"}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"token": "wrong"}, 403),
        ({"token": ""}, 403),
        ({"X_Tinygrad_Edu": None}, 403),
        ({"Content_Type": "text/plain"}, 415),
        ({"Content_Length": "1000000000"}, 413),
        ({"Content_Length": "-1"}, 411),
    ],
)
def test_whoever_is_not_the_page_is_refused(bench, headers, status):
    assert asked(bench, "POST", "ask/code", TASK, **headers)[0] == status
    if not headers.keys() & {"X_Tinygrad_Edu", "Content_Type", "Content_Length"}:
        assert asked(bench, "GET", "", **headers)[0] == status


@pytest.mark.parametrize(
    "path", ["../answering.py", "%2e%2e/x", "bench.js/..", "ask/check", "steps"]
)
def test_nothing_but_the_page_is_found(bench, path):
    assert asked(bench, "GET", path)[0] in (400, 404)


@pytest.mark.parametrize(
    "body", ["", "[]", "{}", '{"text": 1}', "[" * 100_000, '{"text": "", "numbers": 1}']
)
def test_a_task_that_is_none_is_refused(bench, body):
    assert asked(bench, "POST", "ask/check", body)[0] == 400


@pytest.mark.slow
def test_a_page_to_step_through_is_in_a_sandbox_and_a_bomb_is_not_unpacked(bench):
    def packed(text):
        pack = zlib.compressobj(9, zlib.DEFLATED, -15)
        return urlsafe_b64encode(pack.compress(text.encode()) + pack.flush()).decode().rstrip("=")

    status, headers, page = asked(bench, "GET", f"steps?s={packed(RIGHT)}")
    assert status == 200
    assert headers["Content-Security-Policy"].startswith(
        "sandbox allow-scripts; default-src 'none'"
    )
    assert b'id="slider"' in page
    assert asked(bench, "GET", f"steps?s={packed('#' * (3 * MOST_BYTES))}")[0] == 422
    assert asked(bench, "GET", "steps?x=1")[0] == 400


@pytest.mark.slow
def test_code_that_runs_on_is_stopped_and_the_sheets_are_judged_meanwhile(bench, monkeypatch):
    seconds = "tinygrad_edu.workbench.server.SECONDS_OF_CODE"
    monkeypatch.setattr(seconds, 3.0)
    told = {}

    def run():
        told["code"] = bench.ask({"kind": "code", "text": "while True:\n    pass\n" + EXAMPLE})

    thread = threading.Thread(target=run)
    thread.start()
    assert bench.ask({"kind": "check", "text": RIGHT})["ok"]
    thread.join(60)
    assert told["code"]["error"] == "this took more than 3 s and was stopped"
    monkeypatch.setattr(seconds, 90.0)
    exits = bench.ask({"kind": "code", "text": "import os\nos._exit(1)\n" + EXAMPLE})
    assert exits["error"] == "this ended its process"


def test_a_port_that_cannot_be_had_is_told(capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        for port, said in ((99999, "from 0 to 65535"), (taken.getsockname()[1], "in use")):
            assert cli.main(["serve", "--no-browser", "--port", str(port)]) == 2
            assert said in capsys.readouterr().err


@pytest.mark.slow
def test_serve_prints_its_address_and_ends_with_0_at_ctrl_c():
    process = subprocess.Popen(
        [sys.executable, "-m", "tinygrad_edu", "serve", "--port", "0", "--no-browser"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        line = process.stdout.readline()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{32}/\n", line)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.stdout.close()


# --- in a browser ---------------------------------------------------------------------------------


def until(tab, expression):
    """Wait until an expression is true in the page."""
    for _ in range(1800):
        if tab.ask(f"Boolean({expression})"):
            return
        time.sleep(0.05)
    raise AssertionError(f"not so after 90 s: {expression}")


@pytest.fixture(scope="module")
def window(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("profile")) as window:
        yield window


@pytest.fixture
def tab(bench, window):
    """A new tab with the page, its first example judged."""
    window.open(bench.address)
    until(window, "document.body.dataset.ready && document.body.dataset.checked > 0")
    window.complaints.clear()
    window.requests.clear()
    return window


AREA = "document.querySelector('#editor textarea')"
VERDICT = "document.getElementById('verdict').textContent"


def type_in(tab, text):
    """Replace all text as keys and a paste would."""
    tab.ask(f"{AREA}.focus(), {AREA}.select()")
    tab.call("Input.insertText", text=text)


def own_only(tab, bench):
    """Was nothing asked for but the page's own, and does the browser complain of nothing?"""
    strange = [a for a in tab.requests if not a.startswith((bench.address, "blob:", "about:"))]
    return strange == [] and tab.complaints == []


@in_a_browser
def test_the_mistake_is_marked_the_correction_taken_and_all_is_right(bench, tab):
    type_in(tab, "")
    until(tab, f"{VERDICT}.startsWith('there is no cost')")
    type_in(tab, MISTAKEN)
    until(tab, f"{VERDICT}.startsWith('1 wrong, 2 only')")
    mark = "document.querySelector('#editor .band.wrong')"
    assert tab.ask(f"{mark}.dataset.line") == "20"
    assert "derivative at wrong point" in tab.ask("document.querySelector('.note.wrong').innerText")
    note = "document.querySelector('.note.wrong')"
    at = tab.ask(f"{note}.getBoundingClientRect().y - {mark}.getBoundingClientRect().y")
    assert abs(at) < 3  # the note stands at its line
    tab.click("#editor .take")
    until(tab, f"{VERDICT}.startsWith('All right.')")
    assert tab.ask(f"{AREA}.value") == RIGHT
    assert tab.ask("document.querySelectorAll('#editor .band.correct').length") == 6
    tab.ask("document.execCommand('undo')")
    until(tab, f"{VERDICT}.startsWith('1 wrong')")
    assert own_only(tab, bench)


@in_a_browser
def test_a_slider_moves_the_gradients_and_the_picture(bench, tab):
    until(tab, "document.querySelectorAll('#numbers .slider').length > 0")
    tab.ask("for (const d of document.querySelectorAll('details')) d.open = true")
    first = "document.querySelector('#numbers [data-name=W1] .slider')"
    gradient = f"{first}.querySelector('.gradient').textContent"
    both = f"[{gradient}, document.querySelector('#graph img').src]"
    before = tab.ask(both)
    tab.ask(f"(() => {{ const range = {first}.querySelector('input'); range.value = 2.5;"
            " range.dispatchEvent(new Event('input')); })()")  # fmt: skip
    until(tab, f"{first}.querySelector('output').textContent === '2.5'")
    after = tab.ask(both)
    assert before[0] != after[0]
    assert before[1] != after[1]
    assert own_only(tab, bench)


@in_a_browser
def test_a_shared_address_restores_the_derivation_and_steps_are_linked(bench, tab):
    type_in(tab, "# ∂ und ümlaut\n" + RIGHT)
    until(tab, f"{VERDICT}.startsWith('All right.')")
    tab.click("#share")
    until(tab, "location.hash.length > 10")
    address, steps = tab.ask("[location.href, document.getElementById('steps').href]")
    tab.open(address)
    until(tab, f"{VERDICT}.startsWith('All right.')")
    assert tab.ask(f"{AREA}.value") == "# ∂ und ümlaut\n" + RIGHT
    assert own_only(tab, bench)
    tab.open(steps)
    until(tab, "document.querySelector('#count').textContent.length > 0")
    assert tab.complaints == []


@in_a_browser
def test_a_hundred_quick_edits_lose_none(tab):
    type_in(tab, RIGHT)
    for i in range(100):
        tab.call("Input.insertText", text=f"#{i}\n")
    assert tab.ask(f"{AREA}.value") == RIGHT + "".join(f"#{i}\n" for i in range(100))
    tab.call("Input.insertText", text="dX = 1\n")
    until(tab, f"document.body.dataset.checked == {AREA}.value.length")
    assert tab.ask(VERDICT).startswith("1 wrong")
    assert tab.ask("document.querySelector('.note.wrong').dataset.line") == str(
        RIGHT.count("\n") + 101
    )


@in_a_browser
def test_a_hostile_text_neither_marks_up_the_page_nor_hangs_it(bench, tab):
    hostile = "<img src=x onerror=alert(1)>: (2,)\n</textarea><script>alert(1)</script>\n"
    for text in (hostile, RIGHT.replace("dZ1", "dZ1" + hostile), "x" * 1_000_000, "(" * 20_000):
        tab.ask(f"{AREA}.focus(), {AREA}.select()")
        tab.ask(f"{AREA}.value = {json.dumps(text)}; {AREA}.dispatchEvent(new Event('input'))")
        until(tab, f"document.body.dataset.checked == {len(text)}")
        assert tab.ask("document.querySelectorAll('img[src=x], main script').length") == 0
    type_in(tab, RIGHT)
    until(tab, f"{VERDICT}.startsWith('All right.')")
    assert own_only(tab, bench)


@in_a_browser
def test_the_second_tab_runs_code_and_takes_its_correction(bench, tab):
    tab.click("#to-code")
    tab.click("#run")
    until(tab, "document.querySelector('#code-editor .take')")
    assert tab.ask("document.querySelector('#code-editor .band').dataset.line") == "12"
    tab.click("#code-editor .take")
    tab.click("#run")
    until(tab, "document.getElementById('code-verdict').className === 'good'")
    assert own_only(tab, bench)


@in_a_browser
def test_on_a_narrow_page_nothing_is_wider_than_it(tab):
    tab.call(
        "Emulation.setDeviceMetricsOverride",
        width=390,
        height=844,
        deviceScaleFactor=1,
        mobile=True,
    )
    until(tab, "document.body.dataset.explained > 0")
    assert tab.ask("document.documentElement.scrollWidth") <= 390


# --- as static files ------------------------------------------------------------------------------

#: A stand-in for Pyodide: the protocol of the worker without Python. "slow" takes for ever.
STAND_IN = """
export async function loadPyodide({ indexURL, packages }) {
  const asked = [indexURL, ...packages];
  const answer = (text) => {
    const task = JSON.parse(text);
    if (task.text.includes("slow")) for (;;);
    const rows = [{ line: 1, verdict: "wrong", said: [asked.join(" "), task.kind], change: null }];
    const verdicts = { ok: false, title: "stand-in", rows, remarks: [] };
    const none = { error: "none", line: 0, column: 0 };
    return JSON.stringify(task.kind === "check" ? verdicts : none);
  };
  return {
    unpackArchive: (bytes, kind) => asked.push(kind, bytes.byteLength > 100000),
    runPython: () => {},
    globals: { get: (name) => (name === "answer_text" ? answer : undefined) },
  };
}
"""


@pytest.fixture
def static(tmp_path):
    release = tmp_path / "release"
    release.mkdir()
    (release / "pyodide.mjs").write_text(STAND_IN)
    out = tmp_path / "out"
    assert cli.main(["page", "--out", str(out), "--pyodide", str(release)]) == 0

    class Quiet(SimpleHTTPRequestHandler):
        extensions_map = SimpleHTTPRequestHandler.extensions_map | {".mjs": "text/javascript"}

        def __init__(self, *more):
            super().__init__(*more, directory=str(out))

        def log_message(self, *more):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


@pytest.fixture
def static_tab(static, window):
    window.open(static)
    window.complaints.clear()
    window.requests.clear()
    until(window, "document.querySelector('.note.wrong')")
    return window


@in_a_browser
def test_the_static_page_asks_its_worker_and_nobody_else(static, static_tab):
    said = static_tab.ask("document.querySelector('.note.wrong').innerText")
    assert f"{static}pyodide/ numpy zip true" in said
    assert static_tab.ask("document.getElementById('to-code').hidden")
    type_in(static_tab, "J = 1")
    until(static_tab, "document.body.dataset.checked == 5")
    assert [a for a in static_tab.requests if not a.startswith((static, "blob:", "about:"))] == []
    assert static_tab.complaints == []


@in_a_browser
def test_a_worker_that_runs_on_is_ended_and_another_started(static_tab):
    type_in(static_tab, "slow")
    until(static_tab, f"{VERDICT}.startsWith('this took more than 20 s')")
    type_in(static_tab, "J = 1")
    until(static_tab, f"{VERDICT}.startsWith('1 wrong')")


@pytest.mark.slow
def test_the_static_page_holds_the_package_and_names_where_pyodide_is_from(tmp_path, capsys):
    write(tmp_path / "out", "https://example.org/pyodide/")
    page = (tmp_path / "out" / "index.html").read_text("utf-8")
    assert "script-src &#x27;self&#x27; &#x27;wasm-unsafe-eval&#x27; https://example.org;" in page
    setting = json.loads((tmp_path / "out" / "setting.json").read_text("utf-8"))
    assert setting == {"pyodide": "https://example.org/pyodide/", "packages": "packages.zip"}
    assert cli.main(["page", "--out", str(tmp_path / "no"), "--pyodide", str(tmp_path)]) == 2
    assert "no pyodide.mjs" in capsys.readouterr().err


@pytest.mark.slow
def test_what_the_static_page_packs_judges_a_sheet_by_itself(tmp_path):
    import zipfile

    write(tmp_path / "out", "https://example.org/")
    with zipfile.ZipFile(tmp_path / "out" / "packages.zip") as archive:
        archive.extractall(tmp_path / "packages")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import tinygrad_edu, json; "
        "assert tinygrad_edu.__file__.startswith(sys.argv[1]); "
        "from tinygrad_edu.workbench.answering import answer_text; "
        "print(json.loads(answer_text(sys.stdin.read()))['ok'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "packages")],
        input=json.dumps({"kind": "check", "text": RIGHT}), cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": ""}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "True\n"


PYODIDE = os.environ.get("PYODIDE")


@in_a_browser
@pytest.mark.skipif(
    not PYODIDE, reason="PYODIDE names no folder of a release of Pyodide with NumPy"
)
def test_in_the_browser_python_judges_as_it_does_here(tmp_path):
    write(tmp_path / "out", PYODIDE)
    handler = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *more: None})
    with (
        ThreadingHTTPServer(
            ("127.0.0.1", 0), lambda *more: handler(*more, directory=str(tmp_path / "out"))
        ) as server,
        browser(tmp_path / "profile") as tab,
    ):
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        tab.open(f"http://127.0.0.1:{server.server_address[1]}/")
        for _ in range(10):
            if tab.ask(f"{VERDICT}.length > 0"):
                break
            time.sleep(6)
        assert tab.ask(VERDICT).startswith(
            "1 wrong, 2 only because of that (lecture's scale, m = 5)"
        )
        until(tab, "document.querySelectorAll('#rules details').length == 6")
        until(tab, "document.querySelector('#graph p').textContent.includes('Viz.js')")
        server.shutdown()
