"""The pages' templates, with everything that is set into them escaped."""

from __future__ import annotations

from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined, Template, select_autoescape
from markupsafe import Markup


def template(name: str) -> Template:
    """That of ``templates/``; the pages' style is its ``css``."""
    environment = Environment(
        loader=PackageLoader("pipeline.report"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["css"] = Markup(own_file("page.css"))
    return environment.get_template(name)


def own_file(name: str) -> str:
    """The text of a file beside the pages' code."""
    return resources.files("pipeline.report").joinpath(name).read_text(encoding="utf-8")
