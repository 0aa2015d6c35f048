"""Source to Report: an emitted file against its formula, on a way that shares nothing with it."""

import warnings

# torch says so once where NumPy is absent; a layer does not need it.
warnings.filterwarnings("ignore", "Failed to initialize NumPy", UserWarning)
