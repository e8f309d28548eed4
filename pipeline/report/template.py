"""Jinja templates of the report pages. Every value that a template inserts is escaped."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

REPORT = "report/index.html"


def template(name: str) -> Template:
    """The template ``templates/NAME``. It may include the style sheet and the script beside it."""
    environment = Environment(
        loader=PackageLoader("pipeline.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)
