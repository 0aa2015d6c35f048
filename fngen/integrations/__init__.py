"""Build backends that bring a project's layers up to date: each module is one backend's plugin.

Nothing in fngen imports them; the backends do, through the entry points in pyproject.toml.
"""
