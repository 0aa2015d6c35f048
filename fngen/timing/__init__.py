"""How long a layer takes, and how much memory, beside plain autograd of its formula."""
