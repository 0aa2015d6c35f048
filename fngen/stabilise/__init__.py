"""Formulas that keep their digits: recognised by what they are, and written so that nothing cancels."""
