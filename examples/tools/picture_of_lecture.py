"""Draws lecture.png: a section of the page that ``tinygrad-edu lecture --out DIR`` writes.

python examples/tools/picture_of_lecture.py, with Chromium on the path.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tinygrad_edu.lecture import show

PICTURE = Path(__file__).parent.parent / "lecture.png"

if __name__ == "__main__":
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        sys.exit("no Chromium on the path")
    with tempfile.TemporaryDirectory() as folder:
        show(["S4"], Path(folder), language="en")
        page = (Path(folder) / "index.html").as_uri()
        subprocess.run(
            [
                browser, "--headless", "--no-sandbox", "--hide-scrollbars", "--disable-gpu",
                f"--screenshot={PICTURE}", "--window-size=1280,1270", f"--user-data-dir={folder}/b",
                page,
            ],
            check=True, timeout=60, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
