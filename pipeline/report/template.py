"""Jinja templates of the report pages. Every value that a template inserts is escaped."""

from __future__ import annotations

from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined, Template, select_autoescape
from markupsafe import Markup

REPORT = "report/index.html"


def template(name: str) -> Template:
    """The template ``templates/NAME``, with the style sheet as its variable ``css``."""
    environment = Environment(
        loader=PackageLoader("pipeline.report"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["css"] = read_asset("page.css")
    return environment.get_template(name)


def read_asset(name: str) -> Markup:
    """The text of a style sheet or script of this package, to be inserted as it is."""
    return Markup(resources.files("pipeline.report").joinpath(name).read_text(encoding="utf-8"))
