"""Measures of a detector: one module per family, plain arrays in, plain numbers out.

Conventions of every measure here:

- `scores` float (n,), higher = more synthetic; `is_spoof` bool (n,), true = generated speech.
- A file is flagged as synthetic when its score is at or above the threshold. A *false alarm* is bona fide
  speech that is flagged (rate: `fpr`); a *miss* is generated speech that is not (rate: `fnr`). Rates lie in
  [0, 1], not in percent.
- Equal scores cannot be told apart by any threshold, so they always fall on the same side.
- What cannot be measured (an empty input, one class only) is `None`, never a good value. Scores that are not
  finite numbers, and arrays that do not match, raise `ScoresError`.

Measures of a system that also verifies speakers (t-DCF, a-DCF, t-EER) are out of scope: they need the scores
of a speaker verification system.
"""
