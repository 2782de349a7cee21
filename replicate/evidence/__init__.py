"""From records to verdicts: statistics over seeds, one measure per claim, one rule for all."""
