"""Sheets, numbers and checkpoints from strangers: read within bounds, nothing run, nothing written.

Each batch is read in a process of its own, in which an audit hook refuses whatever a sheet must
never cause: running code, writing files, other programs, the network. The process has no limits;
what each sheet took of time, and all of memory, is measured. ``UNTRUSTED`` is the number of sheets
made up at random.
"""

from __future__ import annotations

import io
import json
import os
import random
import resource
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from strangers import PEAK

import tinygrad_edu as tg
from tinygrad_edu import GradError, nn
from tinygrad_edu.core.files import read_npz, write_whole

UNTRUSTED = int(os.environ.get("UNTRUSTED", "100"))
ROOT = Path(__file__).parent.parent
SHEETS = [*Path(__file__).parent.glob("sheets/*.sheet")]
SHEETS += (ROOT / "tinygrad_edu" / "lecture" / "sheets").glob("*.sheet")

HEAD = "m = 5\nX: (3, m)\nw: (1, 3)\nZ = w @ X\nJ = np.sum(Z**2) / m\n\n"
#: Right and wrong ones, that the judge has met all his tools in.
KNOWN = [str(path) for path in SHEETS if path.name in ("dlai_63071.sheet", "gh_lstm_41.sheet")]
#: Formulas that in Python would run something, open something, or never end.
TRAPS = [
    "__import__('os').system('touch caught')", "open('caught', 'w')", "eval('1')", "exec('x = 1')",
    "compile('1', '', 'eval')", "().__class__.__bases__[0].__subclasses__()", "X.__class__",
    "X.__array_interface__", "X.tofile('caught')", "X.dump('caught')", "np.save('caught', X)",
    "np.load('caught')", "np.fromfile('/etc/passwd')", "np.memmap('caught')", "np.DataSource()",
    "np.lib.format.open_memmap('caught')", "np.testing.rundocs()", "np.f2py.compile('')",
    "np.ctypeslib", "np.__loader__", "np.sum.__globals__", "np.sum.__class__", "__builtins__",
    "__name__", "__file__", "globals()", "locals()", "vars()", "getattr(X, 'dump')", "print(X)",
    "input()", "breakpoint()", "exit()", "help()", "type(X)", "object()", "lambda: X",
    "(lambda x: x)(X)", "[x for x in X]", "{x for x in X}", "{x: x for x in X}", "(x for x in X)",
    "(y := X)", "f'{X}'", "f'{open(1)}'", "'%s' % X", "'{0.__class__}'.format(X)", "b'x'",
    "'x' * 9",
    "X if X else X", "await X", "X and X", "not X", "*X", "X.T.T.T.base", "X.data", "X.grad",
    "X.backward()", "X.parents", "X._data", "X.op", "9**9**9", "9**9**9**9", "2**(2**63)",
    "1 << 10**9", "10**400", "-(10**400)", "1e999", "-1e999 * 0", "np.ones((10**6, 10**6))",
    "np.zeros(10**12)", "np.eye(10**6)", "np.arange(10**9)", "np.full((10**5, 10**5), 1)",
    "np.tile(X, 10**9)", "np.repeat(X, 10**9)", "np.outer(np.ones(10**6), np.ones(10**6))",
    "np.ones((2,) * 40)", "np.ones(10**5)[:, None] * np.ones(10**5)", "np.diag(np.ones(10**5))",
    "np.broadcast_to(X, (10**6, 10**6, 3, 5))", "np.concatenate([X] * 10**9)", "[0] * 10**9",
    "(0,) * 10**9", "'a' * 10**9", "np.array([0] * 10**9)", "range(10**18)", "X[10**18]",
    "X[::0]", "X[-(10**30):]", "X.reshape(10**18, -1)", "X.reshape(-1, -1)", "np.roll(X, 10**18)",
    "np.expand_dims(X, 10**9)", "np.linalg.norm(X, 'nuc')", "np.linalg.norm(X, 1, (0, 1, 2))",
    "np.cumsum(X, axis=10**9)", "np.swapaxes(X, 9, 9)", "np.var(X, ddof=10**30)",
    "np.sum(X, out=X)", "np.exp(X, out=X)", "np.add.at(X, 0, 1)", "np.sum(X, where=Z)",
    "np.max(X, initial='a')", "np.array('a')", "np.array([None])", "np.array([[1], [2, 3]])",
    "np.array(X, dtype='O')", "np.array(X, dtype=object)", "X.astype('O')", "X.astype('M8')",
    "np.clip(X, 'a', None)", "np.where(X)", "[[1], [2, 3]]", "[X, w]", "(X, w)", "np.stack([])",
    "np.concatenate([])", "1j", "X * 1j",
    "np.sqrt(-1)", "X @ 'a'", "X[None, ..., ...]", "X[X]", "X[[[[0]]]]", "X['a']", "...", "None",
    "True", "np.nan", "np.inf - np.inf", "1 / 0", "0 ** -1", "X // 0", "X % 0", "~X", "X | 0.5",
    "-" * 5000 + "1", "(" * 150 + "X" + ")" * 150, "(" * 5000 + "X" + ")" * 5000,
    "[" * 90 + "X" + "]" * 90, "+".join(["X"] * 3000), "X" + ".T" * 3000, "X" + "[0]" * 3000,
    "np.exp(" * 120 + "X" + ")" * 120, "X" * 50_000, "1" * 5000, "0." + "1" * 50_000,
    "0x" + "f" * 9999,
    "X**" * 90 + "1", "'" + "a" * 50_000 + "'", "\U0001d417", "\u2169",
    "X\u200b", "X\u202e", "\ufeffX",
    "x\u0301",
    "\ud800", "\x00", "\x0c X", "X\r", "X; import os", "X\nimport os", "X\nfrom os import system",
    "X\nfor i in X:\n    pass", "X\nwhile True:\n    pass", "X\ndef f():\n    pass",
    "X\nclass A: pass",
    "X\nwith open('caught', 'w'):\n    pass", "X\ndel X", "X\nassert X", "X\nglobal X",
    "X\nraise X",
    "X\ntry:\n    pass\nexcept X:\n    pass", "X\nX.shape = 3", "X\nX[0] = X", "X\nnp = X",
    "X\nm += X",
    "X\nw: (10**6, 10**6)", "X\nJ = 1", "X\nw, X = X, w", "X\n*w, X = X", "X\nw[0][0] = 1",
    "X\n@X\n",
    "X\nq: (3,) = integers(0, 10**30)", "X\nq: (3,) = uniform(-1e999, 1e999)", "X\ntype A = X",
    "X\nq: (3,) = onehot(axis=10**9)", "X\nq: (3,) = open('caught')", "X\nq: __import__('os')",
]  # fmt: skip

#: Reads every sheet named on standard input, one path a line; prints what it said, as JSON.
CHILD = (
    PEAK
    + """
import ast, json, sys, time
import numpy as np
import tinygrad_edu as tg
from tinygrad_edu.core.value import Value
for report in tg.check_sheets(["good.sheet"] + sys.argv[1:]).reports:
    report.to_json(), str(report), report.to_html()  # imports all there is, before the hook

never = ("exec", "os.", "subprocess.", "socket.", "shutil.", "ctypes.", "pickle.", "pty.",
         "mmap.", "marshal.", "code.__new__", "builtins.input", "urllib.", "webbrowser.",
         "tempfile.")
seen = []

def hook(event, args):
    if event == "open" and (args[1] not in (None, "r", "rb") or args[2] & 3):
        seen.append(f"{event} {args}")
    elif event == "compile" and not reading_formula():
        seen.append(f"{event} {args}")
    elif event.startswith(never) and event not in ("os.listdir", "os.scandir"):
        seen.append(f"{event} {args}")
    else:
        return
    raise RuntimeError(seen[-1])

def reading_formula():  # ast.parse is compile() to a tree, which runs nothing
    frame = sys._getframe(2)
    return frame.f_code is ast.parse.__code__

sys.addaudithook(hook)
said, seconds = {}, {}
for path in json.loads(sys.stdin.read()):
    started = time.process_time()
    report = tg.check_sheets([path]).reports[0]
    report.to_json(), str(report), report.to_html()
    seconds[path] = time.process_time() - started
    errors = [report.error, *(row.error for row in report.rows)]
    verdicts = [row.verdict for row in report.rows]
    said[path] = next((error for error in errors if error is not None), verdicts)
print(json.dumps({"said": said, "seen": seen, "seconds": seconds,
                  "peak": peak()}))
"""
)
#: Seconds of processor time for any sheet, and kB of memory.
SECONDS, MEMORY = 10, 700_000


def judged(desk: Path, texts: list[str | bytes]) -> dict[str, object]:
    """What is said of each sheet, by its place, in a process that can do no harm, within bounds."""
    (desk / "good.sheet").write_text(HEAD + "dZ = 2 * Z\n")
    for i, text in enumerate(texts):
        data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
        (desk / f"{i}.sheet").write_bytes(data)
    before = {path.name for path in desk.iterdir()}
    names = [f"{i}.sheet" for i in range(len(texts))]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CHILD, *KNOWN],
        input=json.dumps(names), capture_output=True, text=True, cwd=desk,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-1500:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["seen"] == []
    assert found["peak"] < MEMORY
    slow = {path: seconds for path, seconds in found["seconds"].items() if seconds > SECONDS}
    assert not slow
    assert {path.name for path in desk.iterdir()} == before  # nothing was written
    assert set(found["said"]) == set(names)
    for said in found["said"].values():
        assert said != "", "an error without a word"
    return found["said"]


@pytest.mark.slow
def test_the_hook_sees_what_a_sheet_must_not_do(tmp_path):
    (tmp_path / "good.sheet").write_text(HEAD)
    for harm in ("open('caught', 'w')", "eval('1')", "__import__('os').system('true')"):
        code = CHILD.replace("said, seconds = ", f"{harm}; said, seconds = ")
        done = subprocess.run(
            [sys.executable, "-c", code], input="[]", capture_output=True, text=True,
            cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert done.returncode == 1
        assert "RuntimeError" in done.stderr
    assert not (tmp_path / "caught").exists()


@pytest.mark.parametrize("place", ["claim", "forward"])
@pytest.mark.parametrize("start", range(4))
@pytest.mark.slow
def test_a_trap_in_a_sheet_catches_nobody(place, start, tmp_path):
    traps = TRAPS[start::4]
    head, tail = HEAD.rsplit("J", 1)
    texts = [
        f"{head}q = {trap}\nJ{tail}dw = q\n" if place == "forward" else f"{HEAD}dw = {trap}\n"
        for trap in traps
    ]
    said = judged(tmp_path, texts)
    assert sum(isinstance(one, str) for one in said.values()) > len(traps) // 3
    assert not any(one == ["correct"] for one in said.values())


WORDS = [
    "X", "w", "Z", "m", "J", "dw", "dZ", "np", ".", "(", ")", "[", "]", ",", ":", "=", "+", "-",
    "*", "**", "/", "@", "%", "&", "|", "~", "<", ">", "==", "0", "1", "2", "1e308", "10**6", "\n",
    " ", "sum", "exp", "T", "shape", "axis=0", "keepdims=True", "newaxis", "reshape", "dot", "ones",
    "where", "'a'", "lambda x:", "if", "for x in", "import os", "__class__", "open", "...", "None",
    "True", "1j", "#", "\\", "\t", ";", "\x00", "é", "\U0001d417", "\u202e", "+=",
    "concatenate", "tile",
]  # fmt: skip


def made_up(rng: random.Random) -> str | bytes:
    """A sheet nobody wrote: a real one changed, words at random, or bytes at random."""
    kind = rng.randrange(8)
    if kind == 0:
        return rng.randbytes(rng.randrange(2000))
    if kind == 1:
        return HEAD + "dw = " + "".join(rng.choice(WORDS) for _ in range(rng.randrange(40)))
    text = rng.choice(SHEETS).read_text(encoding="utf-8")
    for _ in range(rng.randrange(1, 6)):
        start = rng.randrange(len(text))
        end = start + rng.choice([0, 1, 1, 2, 9, 60])
        other = rng.randrange(len(text))
        new = rng.choice(["", rng.choice(WORDS), rng.choice(TRAPS), text[other : other + 30]])
        text = text[:start] + new + text[end:]
    return text


@pytest.mark.slow
def test_sheets_made_up_at_random_are_judged_or_refused(tmp_path):
    rng = random.Random(5)
    for start in range(0, UNTRUSTED, 400):
        texts = [made_up(rng) for _ in range(min(400, UNTRUSTED - start))]
        folder = tmp_path / str(start)
        folder.mkdir()
        judged(folder, texts)


@pytest.mark.slow
def test_a_sheet_larger_than_anybody_writes_is_refused_unread(tmp_path):
    long_line = HEAD + "dw = " + "X + " * 2_500_000 + "X\n"
    many_lines = HEAD + "q = 1\n" * 1_700_000
    said = judged(tmp_path, [long_line, many_lines, b"\x00" * 10_000_000])
    assert all("at most" in str(one) for one in said.values())


# --- numbers beside a sheet, and checkpoints ------------------------------------------------------


def packed(entries: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """A zip archive."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", compression) as file:
        for name, content in entries.items():
            file.writestr(name, content)
    return held.getvalue()


def written(array: np.ndarray, allow_pickle: bool = False) -> bytes:
    """An array as a ``.npy`` file."""
    held = io.BytesIO()
    np.lib.format.write_array(held, array, allow_pickle=allow_pickle)
    return held.getvalue()


def claiming(shape: str, descr: str = "<f8") -> bytes:
    """A ``.npy`` file with eight bytes of numbers, whose header says what one likes."""
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (63 - (len(header) + 10) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + b"\0" * 8


class Bomb:
    """Something that writes a file when it is unpickled."""

    def __reduce__(self):
        return open, ("caught", "w")


GOOD = packed({"X.npy": written(np.ones((3, 5)))})
HOSTILE = {
    "nothing": b"",
    "text": b"X = 1\n" * 100,
    "no numbers in it": packed({"X.npy": b"", "readme": b"hello"}),
    "zeros that unpack to 200 MB": lambda: packed(  # not before it is needed: it takes a second
        {"X.npy": claiming("(26214401,)") + bytes(200 << 20)}, zipfile.ZIP_DEFLATED
    ),
    "a header that claims 8 TB": packed({"X.npy": claiming("(1000000, 1000000)")}),
    "a header that claims less than nothing": packed({"X.npy": claiming("(-1, 3)")}),
    "a header with a formula": packed({"X.npy": claiming("(9**9**9,)")}),
    "a header with a call": packed({"X.npy": claiming("__import__('os').getpid()")}),
    "a header that is no tuple": packed({"X.npy": claiming("'X'")}),
    "a pickle": packed({"X.npy": written(np.array([Bomb()], dtype=object), allow_pickle=True)}),
    "a pickle alone": written(np.array([Bomb()], dtype=object), allow_pickle=True),
    "an array alone": written(np.ones((3, 5))),
    "half of it": GOOD[: len(GOOD) // 2],
    "a spoilt middle": GOOD[:150] + b"????" + GOOD[154:],
    "another version": packed({"X.npy": b"\x93NUMPY\x09\x09" + bytes(100)}),
    "complex": packed({"X.npy": written(np.ones((3, 5), complex))}),
    "dates": packed({"X.npy": written(np.zeros((3, 5), "M8[D]"))}),
}


#: What is said of those that are refused before anything is made of them.
SAID = {
    "zeros that unpack to 200 MB": "unpacks to 209,715,",
    "a header that claims 8 TB": "claims shape",
    "a pickle": "Object arrays cannot be loaded",
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_numbers_are_refused_in_little_memory(what, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a.sheet").write_text(HEAD + "dZ = 2 * Z\n")
    given = HOSTILE[what]
    Path("a.npz").write_bytes(given() if callable(given) else given)
    before = sorted(tmp_path.iterdir())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    report = tg.check_sheets(["a.sheet"]).reports[0]
    assert SAID.get(what, "") in report.error
    with pytest.raises(GradError, match=SAID.get(what, "npz|network")):
        nn.Network(3, nn.Dense(1)).load("a.npz")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < peak + 200_000  # kB
    assert sorted(tmp_path.iterdir()) == before


def test_a_name_inside_an_archive_is_no_place_on_disk(tmp_path):
    (tmp_path / "a.sheet").write_text(HEAD + "dZ = 2 * Z\n")
    inside = {name: written(np.ones((3, 5))) for name in ("../X.npy", "/X.npy", "X.npy")}
    (tmp_path / "a.npz").write_bytes(packed(inside))
    assert tg.check_sheet(tmp_path / "a.sheet").ok
    assert {path.name for path in tmp_path.iterdir()} == {"a.sheet", "a.npz"}
    assert not (tmp_path.parent / "X.npy").exists()


def test_what_is_no_file_is_refused_at_once(tmp_path):
    (tmp_path / "folder.npz").mkdir()
    os.mkfifo(tmp_path / "pipe.npz")
    (tmp_path / "endless.npz").symlink_to("/dev/zero")
    (tmp_path / "nowhere.npz").symlink_to("nowhere.npz")
    for name in ("folder.npz", "pipe.npz", "endless.npz", "nowhere.npz", "missing.npz"):
        with pytest.raises((GradError, OSError)):
            nn.Network(3, nn.Dense(1)).load(tmp_path / name)
        assert tg.check_sheets([tmp_path / name]).reports[0].error
        (tmp_path / "a.sheet").write_text(HEAD)
        assert tg.check_sheets([tmp_path / "a.sheet"], tmp_path / name).reports[0].error


def test_a_sheet_whose_name_looks_like_an_option_is_a_sheet(tmp_path, monkeypatch, capsys):
    from tinygrad_edu.cli import main

    monkeypatch.chdir(tmp_path)
    for name in ("-rf.sheet", "--json"):
        Path(name).write_text(HEAD + "dZ = 2 * Z\n")
        assert main(["check", "--", name]) == 0
        assert main(["check", f"./{name}"]) == 0
        assert "correct" in capsys.readouterr().out


# --- writing --------------------------------------------------------------------------------------


FULL = """
import resource, signal, sys
from tinygrad_edu.core.files import read_npz, write_whole
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_whole(sys.argv[1], lambda file: file.write(bytes(100_000)))
except OSError as error:
    print(error.strerror)
"""


def test_where_there_is_no_room_the_old_file_stays_and_no_draft(tmp_path):
    (tmp_path / "a").write_text("old")
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / "a")], capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.stdout == os.strerror(27) + "\n", done.stderr  # EFBIG
    assert (tmp_path / "a").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_where_nothing_can_be_written_the_folder_is_named(tmp_path):
    for place in (tmp_path / "missing" / "a", tmp_path, Path("/proc/a")):
        with pytest.raises(OSError, match=r"missing|" + tmp_path.name + "|proc"):
            write_whole(place, lambda file: file.write(b"new"))
    assert list(tmp_path.iterdir()) == []


# --- kill -9 --------------------------------------------------------------------------------------

KILLS = int(os.environ.get("KILLS", "12"))
TRAINING = """
import sys
import numpy as np
from tinygrad_edu import nn
rng = np.random.default_rng(0)
X, Y = rng.standard_normal((3, 40)), rng.integers(0, 2, (1, 40))
net = nn.Network(3, nn.Dense(5, "tanh"), nn.Dropout(0.2), nn.Dense(1, "sigmoid"), seed=1)
print("ready", flush=True)
net.fit(X, Y, epochs=int(sys.argv[2]), batch_size=7, checkpoint=sys.argv[1], save_every=1,
        resume=True, progress=False)
net.save(sys.argv[1] + ".done")
"""


@pytest.mark.slow
def test_a_run_killed_at_any_moment_goes_on_and_ends_the_same_to_the_bit(tmp_path):
    rng = random.Random(3)
    epochs = str(10 + 4 * KILLS)
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}

    def started(name: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", TRAINING, str(tmp_path / name), epochs]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)

    with started("whole") as run:
        assert run.wait() == 0
    whole = read_npz(tmp_path / "whole.done")
    killed = 0
    while killed < KILLS or not (tmp_path / "killed.done").exists():
        if (tmp_path / "killed.done").exists():  # faster than the kills: once more from the start
            (tmp_path / "killed.done").unlink()
            (tmp_path / "killed").unlink()
        with started("killed") as run:
            assert run.stdout.readline() == "ready\n"
            try:
                code = run.wait(timeout=rng.uniform(0.0, 0.15) if killed < KILLS else None)
            except subprocess.TimeoutExpired:
                run.send_signal(signal.SIGKILL)
                code = run.wait()
                killed += 1
        assert code in (0, -signal.SIGKILL)
        if code == 0:
            resumed = read_npz(tmp_path / "killed.done")
            assert list(whole) == list(resumed)
            for name, numbers in whole.items():
                assert numbers.tobytes() == resumed[name].tobytes()
