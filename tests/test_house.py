"""The layout of the project: who may import whom, what is public, what lies where."""

from __future__ import annotations

import ast
import functools
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import tinygrad_edu as tg

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "tinygrad_edu"

#: The stairs: a room may import what stands on a lower step; neighbours on one step do not import
#: each other.
STEPS = {
    "core": 0, "words": 0.5, "calculus": 1, "rules": 2, "program": 3, "sheets": 3, "drawing": 3,
    "nn": 3, "checking": 4, "diagnosis": 5, "reports": 6, "tracing": 6, "lecture": 7,
    "classroom": 7, "workbench": 8, "cli": 9, "__main__": 10,
}  # fmt: skip

FILES = sorted(PACKAGE.rglob("*.py"))
MODULES = {
    ".".join(f.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): f for f in FILES
}


@functools.cache
def parsed(file: Path) -> ast.Module:
    """A file of the package, read once for all tests."""
    return ast.parse(file.read_text(encoding="utf-8"))


def room_of(module: str) -> str:
    """``tinygrad_edu.core.ops.linalg`` is in the room core; the contents page in none."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def imported_by(file: Path) -> set[str]:
    """The rooms a file imports, wherever the import stands.

    The contents page counts where it is imported with the file: a method may call ``tg.draw`` as
    its reader would.
    """
    rooms = set()
    tree = parsed(file)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import"
            modules = [node.module or ""]
            if node.module == "tinygrad_edu":
                modules = [
                    f"tinygrad_edu.{alias.name}" if alias.name in STEPS else "tinygrad_edu"
                    for alias in node.names
                ]
        else:
            continue
        found = {room_of(name) for name in modules if name.split(".")[0] == "tinygrad_edu"}
        rooms |= found if node in tree.body else found - {""}
    return rooms


def test_imports_go_down_the_stairs():
    up = []
    for file in FILES:
        room = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if room != "__init__":
            others = imported_by(file) - {room}
            up += [(str(file), o) for o in others if STEPS.get(o, STEPS["nn"]) >= STEPS[room]]
    assert up == []  # "": all rooms at once


def imported_modules(file: Path) -> set[str]:
    """The modules of this package that a file imports, wherever the import stands."""
    found = set()
    for node in ast.walk(parsed(file)):
        if isinstance(node, ast.ImportFrom) and node.module:
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else node.module for name in whole}
    return (found & set(MODULES)) - {"tinygrad_edu"}  # the contents page imports on demand


#: Imports within a function, or for type checkers only, that still go round about.
ROUND_ABOUT = {
    ("nn.network", "nn.training"),
    ("rules.why.data", "rules.why.printing"),
}  # fmt: skip


def test_no_two_files_import_each_other_round_about():
    read = {name: imported_modules(file) - {name} for name, file in MODULES.items()}
    for one, other in ROUND_ABOUT:
        read[f"tinygrad_edu.{one}"].remove(f"tinygrad_edu.{other}")
    while read:
        done = {name for name, modules in read.items() if not modules & set(read)}
        assert done, sorted(read)
        read = {name: modules for name, modules in read.items() if name not in done}


def test_every_room_has_a_step():
    rooms = {
        path.name.removesuffix(".py") for path in PACKAGE.iterdir() if path.suffix in ("", ".py")
    }
    assert rooms - {"__init__", "__pycache__"} <= set(STEPS)


def test_the_contents_page_is_sorted_and_complete():
    assert tg.__all__ == sorted(tg.__all__)
    assert len(tg.__all__) == len(set(tg.__all__))
    for name in tg.__all__:
        assert getattr(tg, name) is not None
    assert dir(tg) == tg.__all__


def test_importing_the_package_imports_nothing_but_numpy():
    code = (
        "import sys, numpy; before = set(sys.modules); import tinygrad_edu; "
        "print(sorted({m.split('.')[0] for m in set(sys.modules) - before}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(ast.literal_eval(done.stdout)) - set(sys.stdlib_module_names)
    assert loaded == {"tinygrad_edu"}


def _decorators(node):
    return [d for d in node.decorator_list if isinstance(getattr(d, "func", None), ast.Name)]


def test_every_public_function_says_what_it_does():
    for file in FILES:
        tree = parsed(file)
        assert ast.get_docstring(tree), f"{file} has no docstring"
        for node in tree.body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
                if any(isinstance(d, ast.Call) and d.func.id == "claim" for d in _decorators(node)):
                    continue  # its sentence says it
                assert ast.get_docstring(node), f"{file}: {node.name} has no docstring"


def test_the_top_level_holds_what_a_reader_expects():
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )  # fmt: skip
    if listed.returncode:
        pytest.skip("not a git checkout")
    assert {line.split("/")[0] for line in listed.stdout.splitlines()} <= {
        ".ci", ".docs", ".github", ".gitignore", "LICENSE", "README.md", "examples",
        "pyproject.toml", "pytest_tinygrad_edu.py", "tests", "tinygrad_edu",
    }  # fmt: skip


def test_the_readme_is_a_front_page():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 200


def test_no_file_is_heavy():
    for path in [
        *PACKAGE.rglob("*"),
        *(ROOT / "examples").rglob("*"),
        *(ROOT / "tests").rglob("*"),
    ]:
        if path.is_file() and "__pycache__" not in path.parts:
            assert path.stat().st_size < 300_000, path


@pytest.mark.skipif(shutil.which("ruff") is None, reason="ruff is not installed")
def test_only_files_with_long_functions_are_excused_from_the_limit_on_branches():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    ignores = settings["tool"]["ruff"]["lint"]["per-file-ignores"]
    excused = {file for file, rules in ignores.items() if "C901" in rules and file != "tests/*"}
    done = subprocess.run(
        ["ruff", "check", "--isolated", "--select", "C901", "--output-format", "concise", PACKAGE],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    long = {line.split(":")[0] for line in done.stdout.splitlines() if " C901 " in line}
    assert excused == long
