"""What is said of a wrong line: which mistake it is, and sentences that have been tested.

The way of a wrong line, in reading order:

- `context` has the sheet's formulas and their values on several samples, with its `constants` and
  `activations`, and what they would be with `other_constants`; `derived` has the rule for the line.
- `places` says where the line's formula stands, `words` what it may be made of; `edits` changes it
  in one spot, `search` tries the edits and keeps the nearest that is right (`edit_cost`,
  `simplifying`); `correcting` does so for one line. `scratch` finds the line without a claim that
  is at fault, where one is, among the `suspects` first.
- `evidence` puts line, correction and numbers together in a `Case`, with their `differences`, and
  `roles`: what its formulas are.
- `registry` shows the case to the detectors of `mistakes`, one after another. Each finds a mistake
  with the claims that are to be said of it; a claim (`claims`, `statements`) is a sentence with a
  test, and is tested before it is said. Where nothing holds, what is known is told.
- `diagnosing` does all of that for every wrong line; `matrices` for matrices of derivatives,
  `graphs` and `handed_in` for what is handed to `compare`.
"""
