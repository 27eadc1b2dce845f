"""What is written where: regular files whole, devices and pipes through, an input never."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from tinygrad_edu import GradError, nn
from tinygrad_edu.core.files import check_apart, read_npz, write_npz, write_whole

SHEET = "m = 5\nX: (3, m)\nw: (1, 3)\nZ = w @ X\nJ = np.sum(Z**2) / m\n\ndZ = 2 * Z\n"
PROGRAM = [sys.executable, "-m", "tinygrad_edu"]


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A line for a shell, in which $P is the program."""
    return subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, encoding="utf-8", cwd=folder,
        env={**os.environ, "P": " ".join(PROGRAM), "PYTHONPATH": str(Path(__file__).parent.parent)},
        timeout=120,
    )  # fmt: skip


@pytest.fixture
def desk(tmp_path):
    (tmp_path / "a.sheet").write_text(SHEET)
    return tmp_path


def test_a_link_stays_and_what_it_points_to_is_written(tmp_path):
    (tmp_path / "target").write_text("old")
    (tmp_path / "link").symlink_to("target")
    (tmp_path / "further").symlink_to("link")
    write_whole(tmp_path / "further", lambda file: file.write(b"new"))
    assert (tmp_path / "target").read_text() == "new"
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "further").is_symlink()


def test_a_link_to_what_is_not_there_yet_makes_it(tmp_path):
    (tmp_path / "link").symlink_to("target")
    write_whole(tmp_path / "link", lambda file: file.write(b"new"))
    assert (tmp_path / "target").read_text() == "new"


def test_links_in_a_circle_are_refused_and_stay(tmp_path):
    (tmp_path / "one").symlink_to("other")
    (tmp_path / "other").symlink_to("one")
    with pytest.raises(OSError, match=r"one|other") as caught:
        write_whole(tmp_path / "one", lambda file: file.write(b"new"))
    assert caught.value.errno == errno.ELOOP
    assert (tmp_path / "one").is_symlink()


@pytest.mark.parametrize("device", ["/dev/null", "/dev/full"])
def test_a_device_is_written_through_and_stays(device, tmp_path):
    (tmp_path / "link").symlink_to(device)
    before = os.stat(device)
    for path in (device, tmp_path / "link"):
        if device == "/dev/null":
            write_npz(path, {"X": np.ones(3)})
            nn.Network(3, nn.Dense(1)).save(path)
        else:
            with pytest.raises(OSError, match=str(path)) as caught:
                write_whole(path, lambda file: file.write(b"new"))
            assert caught.value.errno == errno.ENOSPC
    assert os.path.samestat(os.stat(device), before)
    assert [path.name for path in tmp_path.iterdir()] == ["link"]


def test_a_pipe_is_written_through_and_stays(tmp_path):
    pipe = tmp_path / "pipe.npz"
    os.mkfifo(pipe)
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append(pipe.read_bytes()))
    reader.start()
    write_npz(pipe, {"X": np.arange(6.0).reshape(2, 3)})
    reader.join()
    assert pipe.is_fifo()
    (tmp_path / "copy.npz").write_bytes(found[0])
    assert read_npz(tmp_path / "copy.npz")["X"].shape == (2, 3)


@pytest.mark.parametrize(
    "command, says",
    [
        ("$P check a.sheet --html /dev/full", "/dev/full: No space left on device"),
        ("$P draw a.sheet -o full.svg", "full.svg: No space left on device"),
        ("$P check a.sheet --html a.sheet", "would be overwritten"),
        ("$P check b.sheet a.sheet --html link", "would be overwritten"),
        ("$P check a.sheet --html twin", "would be overwritten"),
        ("$P check a.sheet --data b.npz --html b.npz", "would be overwritten"),
        ("$P check a.sheet --html a.npz", "would be overwritten"),
        ("$P draw sheet.svg -o sheet.svg", "would be overwritten"),
        ("$P lecture S1 --out a.sheet", "cannot write to the folder a.sheet"),
        ("$P new >&-", "standard output is closed"),
        ("$P check a.sheet >&-", "standard output is closed"),
        ("$P lecture S1 >&-", "standard output is closed"),
        ("$P -h >&-", "standard output is closed"),
        ("$P new > /dev/full", "No space left on device"),
        ("$P check - <&-", "standard input: it is closed"),
        ("$P derive - <&-", "standard input: it is closed"),
    ],
)
@pytest.mark.one_in(6)
def test_what_cannot_be_written_or_read_ends_with_a_sentence_and_2(command, says, desk):
    (desk / "b.sheet").write_text(SHEET)
    (desk / "sheet.svg").write_text(SHEET)
    (desk / "link").symlink_to("a.sheet")
    (desk / "twin").hardlink_to(desk / "a.sheet")
    (desk / "full.svg").symlink_to("/dev/full")
    write_npz(desk / "b.npz", {"X": np.ones((3, 5))})
    write_npz(desk / "a.npz", {"X": np.ones((3, 5))})
    before = {path.name: path.read_bytes() for path in desk.iterdir() if path.name != "full.svg"}
    done = shell(command, desk)
    assert done.returncode == 2, done.stderr
    assert says in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    after = {path.name: path.read_bytes() for path in desk.iterdir() if path.name != "full.svg"}
    assert after == before


@pytest.mark.slow
def test_without_standard_error_the_output_is_the_lines_alone(desk):
    done = shell("$P derive a.sheet 2>&-", desk)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "dZ = 2 ∗ Z")
    assert shell("$P check nothing.sheet >&- 2>&-", desk).returncode == 2


@pytest.mark.slow
def test_the_standard_output_under_its_own_name_keeps_what_was_printed(desk):
    for command in ("$P check a.sheet --html /dev/stdout > both", "$P check a.sheet --html "
                    "/dev/stdout | cat > both"):  # fmt: skip
        assert shell(command, desk).returncode == 0
        text = (desk / "both").read_text(encoding="utf-8")
        assert text.index("verdict") < text.index("<!doctype html>") < text.index("</html>")
    done = shell("ln -s /dev/stdout out.svg; $P draw a.sheet -o out.svg", desk)
    assert done.returncode == 0
    assert done.stdout.rstrip().endswith("</svg>")


def test_an_output_that_is_not_there_or_is_another_file_is_none_of_the_inputs(tmp_path):
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("a")
    check_apart(tmp_path / "b", tmp_path / "a", None, "-")
    check_apart(tmp_path / "new", tmp_path / "a")
    check_apart(None, tmp_path / "a")
    check_apart("/dev/null", "/dev/null")
    with pytest.raises(GradError, match="another name"):
        check_apart(tmp_path / "a", "-", tmp_path / "a")
