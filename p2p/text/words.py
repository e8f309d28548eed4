"""Words of a prompt and the tokens that each of them became."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from p2p.errors import P2PError

# Scripts written without spaces, by the first word of their characters' names: each character is a word.
_UNSPACED = {"CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR"}
_APOSTROPHES = "'’"


@dataclass(frozen=True)
class Word:
    """One word: its text without regard to case, and the positions of its tokens in the prompt."""

    text: str
    tokens: tuple[int, ...]


@dataclass(frozen=True)
class Segment:
    """The stretch of a prompt's positions that one tokenizer fills: its ``specials`` and, after the last of them, the
    end token, padding. CLIP's specials are a start and an end token, T5's an end token; a stretch that no tokenizer
    fills has none, and is all padding."""

    positions: range
    specials: tuple[int, ...]

    @property
    def padding(self) -> range:
        """The positions after the end token."""
        start = self.specials[-1] + 1 if self.specials else self.positions.start
        return range(start, self.positions.stop)


@dataclass(frozen=True)
class TokenizedPrompt:
    """A prompt in the positions that a denoiser attends to, one segment for each tokenizer; words have tokens in all
    segments."""

    text: str
    words: tuple[Word, ...]
    segments: tuple[Segment, ...]

    @property
    def window(self) -> int:
        """S: all positions."""
        return self.segments[-1].positions.stop

    def tokens_of(self, phrase: str, option: str) -> tuple[int, ...]:
        """Positions of every occurrence of a word or phrase; see ``occurrences``."""
        found = {
            token
            for occurrence in self.occurrences(phrase, option)
            for word in occurrence
            for token in self.words[word].tokens
        }
        return tuple(sorted(found))

    def occurrences(self, phrase: str, option: str) -> tuple[range, ...]:
        """Where a word or a phrase is, as ranges of words, without regard to case or to punctuation.

        A phrase that is nothing but punctuation is looked for as it is.

        Raises:
            P2PError: the prompt has no such phrase; the message says which words it has. ``option`` is the name of
                the option that asks for it.
        """
        wanted = [_folded(phrase[start:stop]) for start, stop in spans(phrase)]
        spoken = [i for i, word in enumerate(self.words) if _spoken(word.text)]
        if any(map(_spoken, wanted)):
            wanted, where = [text for text in wanted if _spoken(text)], spoken
        else:
            where = list(range(len(self.words)))
        texts, length = [self.words[i].text for i in where], len(wanted)
        found, k = [], 0
        while wanted and k + length <= len(texts):
            if texts[k : k + length] == wanted:
                found.append(range(where[k], where[k + length - 1] + 1))
            k += length if found and found[-1].start == where[k] else 1
        if not found:
            has = ", ".join(dict.fromkeys(self.words[i].text for i in spoken)) or "none"
            raise P2PError(f"{option}: {phrase!r} is not in {self.text!r}; its words are {has}")
        return tuple(found)


def spans(text: str) -> tuple[tuple[int, int], ...]:
    """The words of a text as half-open ranges of characters.

    Letters and digits make words, with the apostrophes between them; so do emoji, and so does punctuation, whose
    tokens have to go somewhere: "grass," is "grass" and ",", "well-known" three words. Marks and joiners belong to
    the character before them. In scripts without spaces each character is a word.
    """
    found: list[tuple[int, int]] = []
    last = ""
    for k, char in enumerate(text):
        kind = _kind(text, k, last)
        joined = kind == last and not (kind == "unspaced" and not _mark(char))
        if kind and joined:
            found[-1] = (found[-1][0], k + 1)
        elif kind:
            found.append((k, k + 1))
        last = kind
    return tuple(found)


def words_from_offsets(text: str, offsets: Sequence[tuple[int, int] | None]) -> tuple[Word, ...]:
    """Words of a text with their tokens, from the characters that each token stands for.

    A token belongs to the word with which it shares most characters; if it shares none, as T5's lone word boundary
    does, to the next word.

    Args:
        text: the prompt.
        offsets: half-open range of characters for each position; None for special tokens and padding.
    """
    found = spans(text)
    tokens: list[list[int]] = [[] for _ in found]
    for position, offset in enumerate(offsets):
        if offset is None or not found:
            continue
        shared = [min(offset[1], end) - max(offset[0], begin) for begin, end in found]
        nearest = shared.index(max(shared))
        if shared[nearest] <= 0:
            nearest = next((k for k, (_, end) in enumerate(found) if end > offset[0]), len(found) - 1)
        tokens[nearest].append(position)
    return tuple(
        Word(_folded(text[begin:end]), tuple(own))
        for (begin, end), own in zip(found, tokens, strict=True)
        if own
    )


def _kind(text: str, k: int, last: str) -> str:
    """What a character is part of; empty for a space. ``last`` is the kind of the character before."""
    char = text[k]
    # Python takes four control characters for spaces that tokenizers do not.
    if char.isspace() and not "\x1c" <= char <= "\x1f":
        return ""
    if _mark(char) and last:
        return last
    if char.isalnum() or char == "_":
        return "unspaced" if unicodedata.name(char, "").split(" ")[0] in _UNSPACED else "letters"
    if char in _APOSTROPHES and last == "letters" and text[k + 1 : k + 2].isalnum():
        return "letters"
    return "symbols" if unicodedata.category(char) == "So" else "punctuation"


def _mark(char: str) -> bool:
    """Combining marks, joiners, variation selectors, and the skin tones of emoji."""
    return unicodedata.category(char) in ("Mn", "Mc", "Me", "Cf") or "\U0001f3fb" <= char <= "\U0001f3ff"


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold().replace("’", "'")


def _spoken(text: str) -> bool:
    return any(char.isalnum() or unicodedata.category(char) == "So" for char in text)
