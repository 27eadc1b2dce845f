"""What is said of a wrong line: which mistake it is, and sentences that have been tested.

A wrong line and its correction become a `Case` (evidence), which answers questions with numbers at
fresh samples and the sheet's own. The detectors of `mistakes` look at it, in the order of
`registry`, and find a mistake with the claims that are to be said of it; each is a statement about
these numbers (claims, statements) and is evaluated before it is said. Where the claims of no
finding hold, what is known for certain is said instead (facts).
"""
