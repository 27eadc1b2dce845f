"""The learner's own code, as it stands: run, recorded, judged, and corrected in its own words."""

from tinygrad_edu.tracing.check import check_code
from tinygrad_edu.tracing.report import CodeLine, CodeReport

__all__ = ["CodeLine", "CodeReport", "check_code"]
