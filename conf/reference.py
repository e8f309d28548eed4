"""Writes docs/configuration.md, the reference of the settings, from the schema: ``python -m conf.reference``."""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, get_args, get_origin, get_type_hints

from omegaconf import OmegaConf

from conf.compose import compose_config
from conf.pairs import Checks, PairsConfig, Writer
from conf.schema import Config
from conf.setting_keys import GROUPS, options
from conf.sweeps import SWEEPS, GridSweep, Sweep

HEAD = """\
# Configuration

This page lists every setting. `make docs` writes it from the schema and the options in `conf/`.

`pairforge key=value …` sets a value. `pairforge group=option` selects an option of a group, which sets several values.
The last column has the values of plain `pairforge`, which makes the demo; `pairforge --cfg job --resolve …` prints
those of any command line. `null` means "none" or "detect". A key that does not exist is refused, and the most similar
key is named.

## As in Hydra

PairForge composes its settings with [Hydra](https://hydra.cc) and takes what users of Hydra know. A run,
`pairforge pairs` and `pairforge plan` have these options; `pairforge --hydra-help` lists them too.

| option | meaning |
|---|---|
| `--cfg job` (`hydra`, `all`) | prints the configuration and runs nothing; `--package filter` prints a part of it |
| `--resolve` | with `--cfg`: prints the values of `${…}` |
| `--info` (`defaults`, `searchpath` …) | prints how the configuration is composed |
| `--config-dir DIR` | a folder of your own with further options: `DIR/model/mine.yaml` is `model=mine` |
| `--config-name NAME` | `DIR/NAME.yaml` instead of the packaged `config.yaml` (of `pairs`: `pairs.yaml`) |
| `-m`, `--multirun` | every combination of values, each into `OUT/0`, `OUT/1` … ([commands.md](commands.md)) |
| `config=FILE` | the settings of an earlier run, `OUT/run/config.yaml`; further settings come on top |

A configuration of your own begins with the packaged one:

```yaml
# mine/night.yaml: pairforge --config-dir mine --config-name night
defaults:
  - config              # for pairforge pairs: pairs
  - override model: sd15
  - override sweep: random
  - _self_

sampler:
  guidance: 9
```

`+key=value` and `++key=value` set a key of the schema as `key=value` does; `+` refuses a key that has a value.
`~group` takes the option of a group away, and `~key` gives a key the default of its type. The schema is closed: no form
adds a key. `hydra.verbose=true` means `log=debug`; other `hydra.` keys are refused, because `out` names the output.
"""


def text() -> str:
    """The whole document."""
    composed = {kind: _composed(f"sweep={name}") for name, kind in SWEEPS.items()}
    parts = [HEAD, "## The run\n", _prose(Config), _table(_plain_settings(Config), "", composed[GridSweep])]
    hints = get_type_hints(Config)
    for group in [
        *GROUPS,
        *(name for name, kind in hints.items() if is_dataclass(kind) and name not in GROUPS),
    ]:
        parts.append(f"## {group}\n")
        if group in GROUPS:
            parts.append(_options(group))
        kind = hints.get(group)
        if kind is Sweep:
            for option in composed:
                parts += [_prose(option), _table(_plain_settings(option), "sweep.", composed[option])]
        elif kind is not None:
            parts += [_prose(kind), _table(_leaves(kind, f"{group}."), "", composed[GridSweep])]
    return "\n".join(part for part in [*parts, *_pairs_section()] if part)


def _pairs_section() -> Iterator[str]:
    """The section on ``pairforge pairs``. The groups that it shares with a run are in the sections before."""
    composed = compose_config(["captions.path=FILE"], "(the mini world's {})".format, PairsConfig)
    yield "## pairforge pairs\n"
    yield _prose(PairsConfig)
    yield _table(_plain_settings(PairsConfig), "", composed)
    yield "### writer\n"
    yield _options("writer")
    yield _prose(Writer)
    yield _table(_leaves(Writer, "writer."), "", composed)
    yield "### checks\n"
    yield _prose(Checks)
    yield _table(_leaves(Checks, "checks."), "", composed)


def _composed(*settings: str) -> Any:
    return compose_config(settings, "(the mini world's {})".format)


def _prose(kind: type) -> str:
    """The docstring as Markdown, "" if the dataclass has a generated one."""
    docstring = inspect.getdoc(kind) or ""
    return "" if docstring.startswith(f"{kind.__name__}(") else docstring.replace("``", "`") + "\n"


def _options(group: str) -> str:
    lines = [f"| `{group}={name}` | {about} |" for name, about in options(group).items()]
    return "\n".join(["| option | meaning |", "|---|---|", *lines, ""])


def _plain_settings(schema: Any) -> Iterator[tuple[str, Any]]:
    """The settings of the schema itself, without those of its groups."""
    hints = get_type_hints(schema)
    yield from (
        (entry.name, hints[entry.name]) for entry in fields(schema) if not is_dataclass(hints[entry.name])
    )


def _leaves(schema: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    hints = get_type_hints(schema)
    for entry in fields(schema):
        kind = hints[entry.name]
        if is_dataclass(kind):
            yield from _leaves(kind, f"{prefix}{entry.name}.")
        else:
            yield prefix + entry.name, kind


def _table(keys: Iterator[tuple[str, Any]], prefix: str, composed: Any) -> str:
    lines = [
        f"| `{prefix}{name}` | {_type(kind)} | `{_value(OmegaConf.select(composed, prefix + name))}` |"
        for name, kind in keys
    ]
    return "\n".join(["| key | type | value |", "|---|---|---|", *lines, ""])


def _type(kind: Any) -> str:
    if get_origin(kind) is types.UnionType:
        return " or ".join("null" if part is types.NoneType else _type(part) for part in get_args(kind))
    if get_origin(kind) is list:
        return f"list of {_type(get_args(kind)[0])}"
    if get_origin(kind) is dict:
        return f"{_type(get_args(kind)[1])} by {_type(get_args(kind)[0])}"
    if issubclass(kind, Enum):
        return ", ".join(f"`{member.name}`" for member in kind)
    if is_dataclass(kind):
        return f"{{{', '.join(entry.name for entry in fields(kind))}}}"
    return {bool: "true or false", int: "integer", float: "number", str: "text"}[kind]


def _value(value: Any) -> str:
    if isinstance(value, Enum):
        return value.name
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value).replace("\n", "\\n")


if __name__ == "__main__":
    print(text(), end="")
