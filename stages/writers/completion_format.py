"""Defines the completion format of a fine-tuned language model: the marks between captions and instructions."""

from __future__ import annotations

from dataclasses import dataclass, fields

from conf.pairs import Marks


class FormatError(ValueError):
    """A mark of the format is invalid, or a text cannot be written in the format."""


@dataclass
class CompletionFormat(Marks):
    """Prompt = caption + ``separator``; completion = instruction + ``divider`` + edited caption + ``stop``.

    The defaults are InstructPix2Pix's (its prompt_app.py and generate_txt_dataset.py).

    Raises FormatError for a mark that is empty, or is part of another.
    """

    def __post_init__(self) -> None:
        for field in fields(self):
            if not getattr(self, field.name):
                raise FormatError(
                    f"the format's {field.name} is empty: give it a text such as {field.default!r}"
                )
        for name, other in (("stop", "divider"), ("divider", "stop")):
            if getattr(self, name) in getattr(self, other):
                raise FormatError(
                    f"the format's {name} is part of its {other}: an answer could not be told apart"
                )

    def prompt(self, caption: str) -> str:
        """Returns the model's input. Raises FormatError for a caption that contains the separator."""
        if self.separator in caption + self.separator[:-1]:
            raise FormatError(f"a caption must not have the separator {self.separator!r} in it: {caption!r}")
        return caption + self.separator

    def completion(self, instruction: str, edited: str) -> str:
        """Returns the answer that ``parse`` reads as these texts. Raises FormatError if it would read others."""
        text = f"{instruction}{self.divider}{edited}{self.stop}"
        if self.parse(text) != (instruction, edited):
            raise FormatError(
                "an instruction and an edited caption must be lines without the format's marks in them: "
                f"{instruction!r}, {edited!r}"
            )
        return text

    def parse(self, text: str) -> tuple[str, str] | str:
        """Returns the instruction and edited caption of an answer, or the reason why it has none.

        Text after the stop sequence is ignored. If a server drops the sequence, the caller appends it again.
        """
        answer, stop, _ = text.partition(self.stop)
        if not stop:
            return "no_stop"
        parts = answer.split(self.divider)
        if len(parts) != 2:
            return "no_divider" if len(parts) == 1 else "two_dividers"
        instruction, edited = (part.strip() for part in parts)
        if not instruction or not edited:
            return "empty_answer"
        if len(instruction.splitlines()) > 1 or len(edited.splitlines()) > 1:
            return "many_lines"
        return instruction, edited
