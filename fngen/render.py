"""View to text: the one place with Jinja."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from fngen.margin import fitted
from fngen.shipped import templates
from fngen.view import ModuleView


def render(view: ModuleView) -> str:
    """Return the text of the emitted file."""
    return fitted(_environment().get_template(view.template).render(m=view))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(templates()),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
        optimized=False,  # A template is rendered once a process: compiling it is the cost.
        autoescape=False,  # noqa: S701  The output is Python; a view holds checked text only.
    )
    environment.filters["quote"] = lambda text: f'"{text}"'
    return environment
