"""Words of a prompt and the tokens that each of them became."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from p2p.errors import P2PError

# Words keep their apostrophes; hyphens and other punctuation stand alone, so that "grass," still holds "grass".
# (Python takes four control characters for spaces that tokenizers do not.)
_WORD = re.compile(r"\w+(?:['’]\w+)*|(?:[^\w\s]|[\x1c-\x1f])+")


@dataclass(frozen=True)
class Word:
    """One word: its text without regard to case, and the positions of its tokens in the prompt."""

    text: str
    tokens: tuple[int, ...]


@dataclass(frozen=True)
class TokenizedPrompt:
    """A prompt in the text encoder's window of ``window`` positions.

    The start token is at 0, the end token at ``end``, padding after it; words cover what is between.
    """

    text: str
    words: tuple[Word, ...]
    end: int
    window: int

    def tokens_of(self, word: str, option: str) -> tuple[int, ...]:
        """Positions of every occurrence of a word or of a phrase, without regard to case or punctuation around it.

        Raises:
            P2PError: the prompt has no such word; the message says which words it has. ``option`` is the name of
                the option that asks for the word.
        """
        phrase = [text.casefold() for text in _WORD.findall(word) if _spoken(text)]
        words = [own for own in self.words if _spoken(own.text)]
        texts = [own.text for own in words]
        starts = [i for i in range(len(texts)) if phrase and texts[i : i + len(phrase)] == phrase]
        if not starts:
            raise P2PError(f"{option}: {word!r} is not in {self.text!r}; its words are {', '.join(texts)}")
        found = {token for i in starts for own in words[i : i + len(phrase)] for token in own.tokens}
        return tuple(sorted(found))


def _spoken(text: str) -> bool:
    return text[0].isalnum()


def words_from_offsets(text: str, offsets: Sequence[tuple[int, int]]) -> tuple[Word, ...]:
    """Words of a text with their tokens, from the characters that each token stands for.

    A token belongs to the word with which it shares most characters. Punctuation counts as a word here, for its
    tokens have to go somewhere.

    Args:
        text: the prompt.
        offsets: half-open range of characters for each position; empty for start, end and padding.
    """
    spans = [match.span() for match in _WORD.finditer(text)]
    tokens: list[list[int]] = [[] for _ in spans]
    for position, (start, stop) in enumerate(offsets):
        shared = [min(stop, end) - max(start, begin) for begin, end in spans]
        if shared and max(shared) > 0:
            tokens[shared.index(max(shared))].append(position)
    return tuple(
        Word(text[begin:end].casefold(), tuple(own))
        for (begin, end), own in zip(spans, tokens, strict=True)
        if own
    )
