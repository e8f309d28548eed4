"""Correctness of the caption pairs that a fine-tuned language model writes.

The mini world's language model, pre-trained on captions alone, is fine-tuned with 50, 200 and 700 triples, each by
`pairforge finetune`; existing folders are used as they are. Each model then writes a caption pair for captions that
training never saw: of reserved scenes, and of reserved combinations of attributes. The grammar judges the pairs.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from benchmarks.common.markdown import markdown_table
from benchmarks.common.results_file import publish
from miniworld.check_pair import Verdict, judge
from miniworld.triples import draw_unseen_captions
from miniworld.write_triples import main as write_triples
from pipeline.commands.finetune import finetune
from stages.writers.completion_format import CompletionFormat

RECIPE = ("epochs=25", "keep=last", "learning_rate=2e-3")
TEMPERATURE = 0.7  # InstructPix2Pix's
BATCH, NEW_TOKENS = 64, 64
COUNTS = (50, 200, 700)


@dataclass(frozen=True)
class Correctness:
    """Shares of the captions with an answer that parses, with a sayable instruction, and with a right caption.

    ``instructions`` is the number of different ones.
    """

    parsed: float
    sayable: float
    right: float
    instructions: int


def write(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, captions: Sequence[str], temperature: float
) -> list[str]:
    """Sample the model's answer to each caption's prompt with a fixed seed; temperature 0 is greedy."""
    torch.manual_seed(0)
    sampling = (
        {"do_sample": True, "temperature": temperature, "top_k": 0} if temperature else {"do_sample": False}
    )
    completion = CompletionFormat()
    answers: list[str] = []
    for start in range(0, len(captions), BATCH):
        prompts = [completion.prompt(caption) for caption in captions[start : start + BATCH]]
        inputs = tokenizer(prompts, return_tensors="pt", padding=True, padding_side="left")
        ids, mask = inputs.input_ids, inputs.attention_mask
        tokens = model.generate(input_ids=ids, attention_mask=mask, max_new_tokens=NEW_TOKENS, **sampling)
        answers += tokenizer.batch_decode(tokens[:, ids.shape[1] :], skip_special_tokens=True)
    return answers


def rate(captions: Sequence[str], answers: Sequence[str]) -> Correctness:
    """The grammar's verdict on one answer a caption."""
    parsed = [
        (caption, CompletionFormat().parse(answer)) for caption, answer in zip(captions, answers, strict=True)
    ]
    pairs = [(caption, *pair) for caption, pair in parsed if not isinstance(pair, str)]
    verdicts = [judge(*pair) for pair in pairs]
    count = len(captions)
    return Correctness(
        parsed=len(pairs) / count,
        sayable=sum(verdict is not Verdict.unknown_instruction for verdict in verdicts) / count,
        right=verdicts.count(Verdict.right) / count,
        instructions=len({instruction for _, instruction, _ in pairs}),
    )


def load(folder: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A language model in fp32 and its tokenizer."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    return model, AutoTokenizer.from_pretrained(folder)


def fine_tune(base: Path, work: Path, count: int) -> Path:
    """The folder of the model fine-tuned with the first ``count`` triples, trained if it is missing."""
    out, triples = work / f"writer-{count}", work / "triples.jsonl"
    if not (out / "finetune.json").exists():
        write_triples([str(triples)])
        finetune([f"data={triples}", f"limit={count}", f"writer.model={base}", f"out={out}", *RECIPE])
    return out


def main(arguments: Sequence[str] | None = None) -> None:
    """Train what is missing and write the section."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.truth.caption_writer", description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("runs/miniworld"))
    parser.add_argument("--captions", type=int, default=512, help="captions for each line (default 512)")
    options = parser.parse_args(arguments)
    base = options.work / "writer"
    if not base.is_dir():
        parser.error(f"{base} does not exist; make it with python -m miniworld.train writer")
    transformers.utils.logging.disable_progress_bar()
    records: list[tuple[object, ...]] = []
    size = 0
    for count in COUNTS:
        folder = fine_tune(base, options.work, count)
        size = (folder / "model.safetensors").stat().st_size
        model, tokenizer = load(folder)
        for held_out in (False, True):
            captions = draw_unseen_captions(options.captions, held_out)
            unseen = "unseen combinations" if held_out else "unseen captions"
            for temperature in (0.0, TEMPERATURE):
                rates = rate(captions, write(model, tokenizer, captions, temperature))
                records.append((count, unseen, temperature, *astuple(rates)))
                print(*records[-1], sep="  ", flush=True)
    columns = [
        *("triples", "on", "temperature:g", "parse:.1%", "sayable:.1%", "right:.1%"),
        "different instructions",
    ]
    publish(
        "Caption pairs by a fine-tuned language model",
        "benchmarks.truth.caption_writer",
        f"A Llama of {size / 2e6:.1f} million weights ({size / 2**20:.1f} MiB in fp16), pre-trained on captions alone "
        f"and fine-tuned by `pairforge finetune … {' '.join(RECIPE)}` with the first 50, 200 and all of 700 triples (a "
        f"tenth of the captions for validation). {options.captions} captions a line, one answer each. *parse*: the "
        "answer has the completion format. *sayable*: the grammar can say its instruction of the scene. *right*: the "
        "edited caption is, letter by letter, what the instruction makes of the caption. Unseen combinations are never "
        "drawn in any training.\n\n" + markdown_table(columns, records),
    )


if __name__ == "__main__":
    main()
