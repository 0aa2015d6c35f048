"""Source to Report: an emitted file against its formula, on a way that shares nothing with it."""
