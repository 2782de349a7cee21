"""From records to verdicts: statistics over seeds, one measure per claim, one rule for all.

`results` is the format of what `compare` writes, `verdicts.judge` the rule, `departures.departures` where a profile
leaves the paper.
"""
