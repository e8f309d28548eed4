"""Which field of a record is the input caption, which the instruction, which the output caption."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from conf.messages import suggest_name
from stages.captions.source import CaptionsError

Layout = tuple[str, ...]
"""The names of the input, edit and output field; of captions alone, the input's."""

Roles = Mapping[str, tuple[str, ...]]
"""What is looked for, and the names that each is known by."""

# One row a role, one column a family of names: our own and InstructPix2Pix's released prompts, the editors'
# data sets, InstructPix2Pix's images. Its generator reads `caption` with `edit` and `output`: families mix.
KNOWN = {
    "input": ("input", "caption", "original_prompt"),
    "edit": ("edit", "instruction", "edit_prompt"),
    "output": ("output", "edited_caption", "edited_prompt"),
}
CAPTION = {"input": (*KNOWN["input"], "text", "prompt")}
_MEANING = {"input": "input caption", "edit": "edit instruction", "output": "output caption"}
_SHOWN = 12


def roles(alone: bool) -> Roles:
    """What a source of caption pairs must have, or one of captions alone."""
    return CAPTION if alone else KNOWN


def find_layout(names: Sequence[str], given: Mapping[str, str], roles: Roles = KNOWN) -> Layout | str:
    """The fields among `names`, or a sentence that says which is missing or could be two.

    A family of names that is complete wins over single names of others; a name in `given` over all.
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
            return missing + next(
                filter(None, (suggest_name(name, names, least=0.75) for name in wanted)), ""
            )
        if len(present) > 1:
            return f"the {_MEANING[role]} could be {_one_of(present)}: drop one, or name it by captions.fields.{role}=…"
        found.append(present[0])
    return tuple(found)


def check_given(given: Mapping[str, str], roles: Roles = KNOWN) -> None:
    """Raises CaptionsError for a role that there is none of."""
    for role in given:
        if role not in roles:
            raise CaptionsError(f"fields has {role!r}{suggest_name(role, roles)}: it maps {', '.join(roles)}")


def check_columns(file: str, names: Sequence[str], given: Mapping[str, str], roles: Roles = KNOWN) -> None:
    """Raises CaptionsError if the file's columns hold none of ``roles``, or two are called the same."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise CaptionsError(f"{file} has more than one column called {_list(twice)}: rename one")
    layout = find_layout(names, given, roles)
    if isinstance(layout, str):
        raise CaptionsError(f"{file}: {layout}; rename the column, or name it by captions.fields")


def _one_of(names: Sequence[str]) -> str:
    quoted = [repr(name) for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"


def _list(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name[:40]) for name in names[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown or "none at all"
