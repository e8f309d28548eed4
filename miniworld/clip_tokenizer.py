"""Tokenizer of the small CLIP and the text encoder: CLIP's own class over a small byte-pair vocabulary.

Most words of the world are one token. Some are two or three tokens, as rare words are in large vocabularies, so that
edits between words of different token counts occur. Any other text becomes letters.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import CLIPTokenizer

TOKENS = 24
START, END = "<|startoftext|>", "<|endoftext|>"

_WHOLE = """
    a an of and on at by in photo pencil drawing mosaic water
    red orange yellow green blue pink white black ball box cone star heart tree house boat
    grass sand snow lava day night storm
"""
# Each of these is too rare to become one token, but its pieces are frequent: "purple", "sunset" and "watercolor" are
# several tokens.
_PIECES = "purx pury xple yple sunx suny xset yset waterx watery xcolor ycolor"


def build_tokenizer() -> CLIPTokenizer:
    """Builds the tokenizer. Its window is 24 tokens, start and end included."""
    return byte_pair_tokenizer([_WHOLE, _WHOLE, _PIECES], min_frequency=2, tokens=TOKENS)


def byte_pair_tokenizer(
    texts: Sequence[str], min_frequency: int, tokens: int, pad_token: str = END
) -> CLIPTokenizer:
    """Builds CLIP's tokenizer over the byte pairs that occur `min_frequency` times in `texts`; `tokens` is its window.

    The vocabulary is laid out like CLIP's: bytes, bytes that end a word, merges, start, end. The end token has the
    highest id, where CLIP text encoders pool. The same texts give the same vocabulary.
    """
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    base = alphabet + [letter + "</w>" for letter in alphabet]
    bpe = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    bpe.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    # The letters get fixed numbers: the trainer breaks ties by number, and would number them at random.
    trainer = trainers.BpeTrainer(
        vocab_size=10_000,
        end_of_word_suffix="</w>",
        show_progress=False,
        special_tokens=base,
        min_frequency=min_frequency,
    )
    bpe.train_from_iterator(texts, trainer)
    learned = json.loads(bpe.to_str())["model"]
    merged = [token for token in sorted(learned["vocab"], key=learned["vocab"].get) if token not in set(base)]
    return CLIPTokenizer(
        vocab={token: index for index, token in enumerate([*base, *merged, START, END])},
        merges=[(left, right) for left, right in learned["merges"]],
        pad_token=pad_token,
        model_max_length=tokens,
        clean_up_tokenization_spaces=False,
    )
