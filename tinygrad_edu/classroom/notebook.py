"""In a notebook: ``%load_ext tinygrad_edu``, then ``%%derivation`` and ``%check_code``."""

from __future__ import annotations

from typing import Any

from tinygrad_edu.core.primitive import GradError
from tinygrad_edu.core.value import Value
from tinygrad_edu.reports import SheetReport, check_text
from tinygrad_edu.sheets import SheetError
from tinygrad_edu.tracing.check import check_code
from tinygrad_edu.tracing.report import CodeReport


def load_ipython_extension(shell: Any) -> None:
    """Give a notebook two magics.

    ``%check_code run numbers`` judges a function of the notebook. ``%%derivation W1 X`` judges the
    cell below as a sheet, with the notebook's numbers for W1 and X; the report is then
    ``derivation``, for an assert in the next cell.
    """

    def known(magic: str, name: str) -> Any:
        if name not in shell.user_ns:
            raise GradError(f"{magic}: there is no {name} in this notebook")
        return shell.user_ns[name]

    def check(line: str) -> CodeReport:
        names = line.split()
        run = known("%check_code run numbers", names[0] if names else "run")
        numbers = known("%check_code run numbers", names[1] if len(names) > 1 else "numbers")
        return check_code(run, numbers() if callable(numbers) else numbers)

    def derivation(line: str, cell: str) -> SheetReport:
        given = {name: known("%%derivation", name) for name in line.split()}
        data = {name: v.data if isinstance(v, Value) else v for name, v in given.items()}
        try:
            report = check_text(cell, data)
        except SheetError as error:
            place = (error.line, error.column)
            report = SheetReport("this cell", source=cell, error=error.said, place=place)
        shell.user_ns["derivation"] = report
        return report

    shell.register_magic_function(check, "line", "check_code")
    shell.register_magic_function(derivation, "cell", "derivation")
