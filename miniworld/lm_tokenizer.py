"""Tokenizer of the language model: a token for each word of the world's language, bytes for anything else."""

from __future__ import annotations

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

TOKENS = 512
END = "<|end|>"

_WORDS = """
    a an of and on at by in photo pencil drawing mosaic watercolor
    red orange yellow green blue purple pink white black ball box cone star heart tree house boat
    grass sand snow water lava day night sunset storm
    the it is to into with for as from if only were what let
    make paint turn change swap replace put render look like add place remove take delete get give
    colour ground time sky sun shine noon midnight dusk stormy go down come up cover dark clouds
    beside next there be too away rid
    is was has become where once now no more left gone all seen stands
"""
WORDS = tuple(dict.fromkeys(_WORDS.split()))


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Builds the byte-level tokenizer. Each word of the world is one token, with a space before it and without.

    Nothing is learned, so the tokenizer is the same every time.
    """
    vocabulary = {byte: index for index, byte in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    for word in WORDS:
        for token in (word, f"Ġ{word}"):
            vocabulary.setdefault(token, len(vocabulary))
    # There are no merges: a text that is not in the vocabulary becomes bytes.
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(END, special=True, normalized=False)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=END,
        model_max_length=TOKENS,
        clean_up_tokenization_spaces=False,
        padding_side="left",
    )
