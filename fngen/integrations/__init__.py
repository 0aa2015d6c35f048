"""Plugins of other tools: build backends that bring a project's layers up to date, and pytest.

Nothing else in fngen imports them; the tools do, through the entry points in pyproject.toml.
"""
