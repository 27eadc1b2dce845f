"""In a notebook: ``%load_ext tinygrad_edu``, then ``%check_code run numbers``."""

from __future__ import annotations

from typing import Any

from tinygrad_edu.core.primitive import GradError
from tinygrad_edu.tracing.check import check_code
from tinygrad_edu.tracing.report import CodeReport


def load_ipython_extension(shell: Any) -> None:
    """Give a notebook the magic ``%check_code``: a function of the notebook, judged."""

    def magic(line: str) -> CodeReport:
        names = line.split() or ["run"]
        run, numbers = names[0], (names[1:] or ["numbers"])[0]
        for name in (run, numbers):
            if name not in shell.user_ns:
                raise GradError(f"%check_code: there is no {name}; it is %check_code run numbers")
        given = shell.user_ns[numbers]
        return check_code(shell.user_ns[run], given() if callable(given) else given)

    shell.register_magic_function(magic, "line", "check_code")
