"""A key as a template: what is given and the forward lines, and an empty line for each claim."""

from __future__ import annotations

from tinygrad_edu.sheets.sheet import Sheet

YOURS = (
    "# Yours to derive: write each formula behind its =. Steps of your own may stand in between."
)


def blank(sheet: Sheet) -> str:
    """The sheet down to its first claim, then its claims without their right-hand sides.

    What is written among and directly above the claims is left out, as it may tell how they go.

    >>> from tinygrad_edu import check_text
    >>> sheet = check_text("w: ()\\nJ = w**2\\n# by the power rule\\ndw = 2 * w").judged.sheet
    >>> print(blank(sheet).replace(YOURS, "…"), end="")
    w: ()
    J = w**2
    <BLANKLINE>
    …
    dw =
    """
    lines = sheet.source.splitlines()
    first = min((s.line for s in sheet.backward), default=len(lines) + 1)
    above = lines[: first - 1]
    while above and (not above[-1].strip() or above[-1].lstrip().startswith("#")):
        above.pop()
    claims = [f"d{of}" for of in dict.fromkeys(claim.of for claim in sheet.claims.values())]
    claims += [claim.last.text.partition("=")[0].strip() for claim in sheet.jacobians.values()]
    return "\n".join([*above, "", YOURS, *(f"{claim} =" for claim in claims)]) + "\n"
