"""Words of a prompt, and the positions of their tokens."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from p2p.errors import P2PError

# First words of the Unicode names of scripts without spaces, in which each character is a word.
_UNSPACED = {"CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR"}
_APOSTROPHES = "'’"


@dataclass(frozen=True)
class Word:
    """A word: its case-folded text, and the positions of its tokens in the prompt."""

    text: str
    tokens: tuple[int, ...]


@dataclass(frozen=True)
class Segment:
    """Positions of a prompt that one tokenizer fills.

    ``specials`` are the positions of its special tokens: CLIP has a start and an end token, T5 an end token. Padding
    comes after the end token. A segment that no tokenizer fills has no specials and is all padding.
    """

    positions: range
    specials: tuple[int, ...]

    @property
    def padding(self) -> range:
        """The positions after the end token."""
        start = self.specials[-1] + 1 if self.specials else self.positions.start
        return range(start, self.positions.stop)


@dataclass(frozen=True)
class TokenizedPrompt:
    """A prompt in the positions that a denoiser attends to, with a segment for each tokenizer.

    Words have tokens in all segments.
    """

    text: str
    words: tuple[Word, ...]
    segments: tuple[Segment, ...]

    @property
    def window(self) -> int:
        """S: number of positions."""
        return self.segments[-1].positions.stop

    def tokens_of(self, phrase: str, option: str) -> tuple[int, ...]:
        """Finds the token positions of all occurrences of a word or phrase, as ``occurrences`` does."""
        positions = {
            token
            for occurrence in self.occurrences(phrase, option)
            for word in occurrence
            for token in self.words[word].tokens
        }
        return tuple(sorted(positions))

    def occurrences(self, phrase: str, option: str) -> tuple[range, ...]:
        """Finds a word or phrase, ignoring case and punctuation, as ranges of indices of words.

        A phrase of punctuation only is matched exactly.

        Args:
            phrase: the word or phrase.
            option: name of the option that has the phrase, for the message.

        Raises:
            P2PError: the prompt has no such phrase; the message lists the prompt's words.
        """
        wanted = [_folded(phrase[start:stop]) for start, stop in spans(phrase)]
        spoken = [i for i, word in enumerate(self.words) if _spoken(word.text)]
        if any(map(_spoken, wanted)):
            wanted, candidates = [text for text in wanted if _spoken(text)], spoken
        else:
            candidates = list(range(len(self.words)))
        texts, length = [self.words[i].text for i in candidates], len(wanted)
        ranges, k = [], 0
        while wanted and k + length <= len(texts):
            if texts[k : k + length] == wanted:
                ranges.append(range(candidates[k], candidates[k + length - 1] + 1))
            k += length if ranges and ranges[-1].start == candidates[k] else 1
        if not ranges:
            has = ", ".join(dict.fromkeys(self.words[i].text for i in spoken)) or "none"
            raise P2PError(f"{option}: {phrase!r} is not in {self.text!r}; its words are {has}")
        return tuple(ranges)


def spans(text: str) -> tuple[tuple[int, int], ...]:
    """Splits a text into words, as half-open ranges of characters.

    A word is a run of letters and digits with apostrophes inside, a run of emoji, or a run of punctuation, whose tokens
    must belong to a word: "grass," is "grass" and ",", and "well-known" is three words. Marks and joiners belong to the
    character before them. In scripts without spaces each character is a word.
    """
    words: list[tuple[int, int]] = []
    last = ""
    for k, char in enumerate(text):
        kind = _kind(text, k, last)
        joined = kind == last and not (kind == "unspaced" and not _mark(char))
        if kind and joined:
            words[-1] = (words[-1][0], k + 1)
        elif kind:
            words.append((k, k + 1))
        last = kind
    return tuple(words)


def words_from_offsets(text: str, offsets: Sequence[tuple[int, int] | None]) -> tuple[Word, ...]:
    """Assigns tokens to the words of a text by the characters of each token.

    A token belongs to the word with which it shares most characters. If it shares none, like T5's token of a word
    boundary, it belongs to the next word.

    Args:
        text: the prompt.
        offsets: half-open range of characters for each position; None for special tokens and padding.
    """
    ranges = spans(text)
    tokens: list[list[int]] = [[] for _ in ranges]
    for position, offset in enumerate(offsets):
        if offset is None or not ranges:
            continue
        shared = [min(offset[1], end) - max(offset[0], begin) for begin, end in ranges]
        nearest = shared.index(max(shared))
        if shared[nearest] <= 0:
            nearest = next((k for k, (_, end) in enumerate(ranges) if end > offset[0]), len(ranges) - 1)
        tokens[nearest].append(position)
    return tuple(
        Word(_folded(text[begin:end]), tuple(positions))
        for (begin, end), positions in zip(ranges, tokens, strict=True)
        if positions
    )


def _kind(text: str, k: int, last: str) -> str:
    """Classifies character k by its kind of word, empty for a space; ``last`` is the kind of the character before."""
    char = text[k]
    # Four control characters are spaces for Python but not for tokenizers.
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
    """True if a character is a combining mark, joiner, variation selector or skin tone of an emoji."""
    return unicodedata.category(char) in ("Mn", "Mc", "Me", "Cf") or "\U0001f3fb" <= char <= "\U0001f3ff"


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold().replace("’", "'")


def _spoken(text: str) -> bool:
    return any(char.isalnum() or unicodedata.category(char) == "So" for char in text)
