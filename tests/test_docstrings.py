"""The examples in docstrings are right. Those of public names run in a session that has imported
NumPy and the package and nothing else, where a reader would paste them.
"""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn

SESSION = {"np": np, "tg": tg, "nn": nn}
PUBLIC = {id(getattr(room, name)) for room in (tg, nn) for name in room.__all__}


def docstrings():
    names = [found.name for found in pkgutil.walk_packages(tg.__path__, "tinygrad_edu.")]
    for name in ["tinygrad_edu", *names]:
        if name.endswith("__main__"):
            continue  # which is the command
        module = importlib.import_module(name)
        for test in doctest.DocTestFinder(exclude_empty=True).find(module, name):
            holder = test.name.removeprefix(f"{name}.").split(".")[0]
            public = id(getattr(module, holder, None)) in PUBLIC
            test.globs = SESSION | ({} if public else test.globs)
            if test.examples:
                yield pytest.param(test, id=test.name.removeprefix("tinygrad_edu."))


@pytest.mark.parametrize("test", list(docstrings()))
def test_the_examples_of_a_docstring_are_right(test):
    said = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=said.append)
    assert not said, "".join(said)
