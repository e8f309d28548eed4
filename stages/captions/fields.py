"""Finds the fields of a record that hold the input caption, the instruction and the output caption."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from conf.messages import suggest_name
from stages.captions.source import IMAGE, CaptionsError, CaptionSource

Layout = tuple[str, ...]
"""The names of the input, edit and output field, or of the input field alone."""

Roles = Mapping[str, tuple[str, ...]]
"""The names that the field of each role is known by."""

# Each column is a family of names: ours and InstructPix2Pix's released prompts, the data sets of editors,
# InstructPix2Pix's images. InstructPix2Pix's generator reads `caption` with `edit` and `output`: families mix.
KNOWN = {
    "input": ("input", "caption", "original_prompt"),
    "edit": ("edit", "instruction", "edit_prompt"),
    "output": ("output", "edited_caption", "edited_prompt"),
}
CAPTION = {"input": (*KNOWN["input"], "text", "prompt")}
_MEANING = {"input": "input caption", "edit": "edit instruction", "output": "output caption"}
_SHOWN = 12


def roles(captions_only: bool) -> Roles:
    """Returns the roles in a source of caption pairs, or of captions only."""
    return CAPTION if captions_only else KNOWN


def find_layout(names: Sequence[str], given: Mapping[str, str], roles: Roles = KNOWN) -> Layout | str:
    """Returns the fields among `names`, or the reason why one is missing or ambiguous.

    A complete family of names wins over single names of others; a name in `given` wins over all.
    """
    families = {
        tuple(given.get(role, known) for role, known in zip(roles, family, strict=True))
        for family in zip(*roles.values(), strict=True)
    }
    complete = [family for family in families if all(name in names for name in family)]
    if len(complete) == 1:
        return complete[0]
    found = []
    for role, known in roles.items():
        wanted = (given[role],) if role in given else known
        present = [name for name in wanted if name in names]
        if not present:
            missing = f"there is no {_MEANING[role]}: no field {_one_of(wanted)} among {_list(names)}"
            suggestions = (suggest_name(name, names, least=0.75) for name in wanted)
            return missing + next(filter(None, suggestions), "")
        if len(present) > 1:
            return f"the {_MEANING[role]} could be {_one_of(present)}: drop one, or name it by captions.fields.{role}=…"
        found.append(present[0])
    return tuple(found)


def check_given(given: Mapping[str, str], roles: Roles = KNOWN) -> None:
    """Raises CaptionsError for an unknown role."""
    for role in given:
        if role not in (known := (*roles, IMAGE)):
            raise CaptionsError(f"fields has {role!r}{suggest_name(role, known)}: it maps {', '.join(known)}")


def check_columns(file: str, names: Sequence[str], source: CaptionSource) -> None:
    """Raises CaptionsError if a column that the source needs is missing, or two columns have the same name."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise CaptionsError(f"{file} has more than one column called {_list(twice)}: rename one")
    layout = find_layout(names, source.fields or {}, roles(source.captions_only))
    if isinstance(layout, str):
        raise CaptionsError(f"{file}: {layout}; rename the column, or name it by captions.fields")


def _one_of(names: Sequence[str]) -> str:
    quoted = [repr(name) for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"


def _list(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name[:40]) for name in names[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown or "none at all"
