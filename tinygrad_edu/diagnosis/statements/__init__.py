"""All kinds of claims that may be made of a wrong line: the sentence, and how it is tested.

A test is asked of a `Case` and answers for all of its samples. What "the line is right" means is
the same everywhere: equal, in value and shape, to the true gradient with all claims above it true.
"""

from tinygrad_edu.diagnosis.statements.changes import *  # noqa: F403
from tinygrad_edu.diagnosis.statements.things import *  # noqa: F403
from tinygrad_edu.diagnosis.statements.whole import *  # noqa: F403
