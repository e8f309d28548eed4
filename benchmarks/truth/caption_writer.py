"""How right a fine-tuned language model's caption pairs are: `python -m benchmarks.truth.caption_writer`.

The mini world's language model, which has read captions alone, is fine-tuned with 50, 200 and 700 triples, each by
`pairforge finetune`; folders that are there are taken as they are. Each model then writes a caption pair for captions
that it was kept from: of scenes reserved, and of combinations of attributes that nothing was ever trained on. The
grammar says which are right.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from benchmarks.common.markdown import markdown_table
from benchmarks.common.results_file import write_section
from miniworld.check_pair import Verdict, judge
from miniworld.triples import unseen_captions
from miniworld.write_triples import main as write_triples
from pipeline.commands.finetune import finetune
from stages.writers.completion_format import CompletionFormat

TITLE = "Caption pairs by a fine-tuned language model (`python -m benchmarks.truth.caption_writer`)"
RECIPE = ("epochs=25", "keep=last", "learning_rate=2e-3")
TEMPERATURE = 0.7  # InstructPix2Pix's
BATCH, NEW_TOKENS = 64, 64
COUNTS = (50, 200, 700)


@dataclass(frozen=True)
class Rightness:
    """Shares of the captions: answers that parse, whose instruction can be said of the scene, that are right.

    ``instructions`` is the number of different ones.
    """

    parsed: float
    sayable: float
    right: float
    instructions: int


def write(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, captions: Sequence[str], temperature: float
) -> list[str]:
    """The model's answer to each caption's prompt, sampled (greedily at temperature 0) with a fixed seed."""
    torch.manual_seed(0)
    sampling = (
        {"do_sample": True, "temperature": temperature, "top_k": 0} if temperature else {"do_sample": False}
    )
    completion = CompletionFormat()
    answers: list[str] = []
    for start in range(0, len(captions), BATCH):
        prompts = [completion.prompt(caption) for caption in captions[start : start + BATCH]]
        given = tokenizer(prompts, return_tensors="pt", padding=True, padding_side="left")
        made = model.generate(
            input_ids=given.input_ids,
            attention_mask=given.attention_mask,
            max_new_tokens=NEW_TOKENS,
            **sampling,
        )
        answers += tokenizer.batch_decode(made[:, given.input_ids.shape[1] :], skip_special_tokens=True)
    return answers


def rate(captions: Sequence[str], answers: Sequence[str]) -> Rightness:
    """The grammar's verdict on one answer a caption."""
    read = [CompletionFormat().parse(answer) for answer in answers]
    pairs = [
        (caption, *pair) for caption, pair in zip(captions, read, strict=True) if not isinstance(pair, str)
    ]
    verdicts = [judge(*pair) for pair in pairs]
    count = len(captions)
    return Rightness(
        parsed=len(pairs) / count,
        sayable=sum(verdict is not Verdict.unknown_instruction for verdict in verdicts) / count,
        right=verdicts.count(Verdict.right) / count,
        instructions=len({instruction for _, instruction, _ in pairs}),
    )


def load(folder: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A language model in fp32 and its tokenizer."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    return model, AutoTokenizer.from_pretrained(folder)


def fine_tuned(base: Path, work: Path, count: int) -> Path:
    """The folder of the model with the first `count` triples, trained if it is not there."""
    out, triples = work / f"writer-{count}", work / "triples.jsonl"
    if not (out / "finetune.json").exists():
        write_triples([str(triples)])
        finetune([f"data={triples}", f"limit={count}", f"writer.model={base}", f"out={out}", *RECIPE])
    return out


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains what is missing, prints the table and writes it into RESULTS.md."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.truth.caption_writer", description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("runs/miniworld"))
    parser.add_argument("--captions", type=int, default=512, help="captions for each row (default 512)")
    options = parser.parse_args(arguments)
    base = options.work / "writer"
    if not base.is_dir():
        parser.error(f"{base} is not there: python -m miniworld.train writer makes it")
    transformers.utils.logging.disable_progress_bar()
    rows, size = [], 0
    for count in COUNTS:
        folder = fine_tuned(base, options.work, count)
        size = (folder / "model.safetensors").stat().st_size
        model, tokenizer = load(folder)
        for held_out in (False, True):
            captions = unseen_captions(options.captions, held_out)
            for temperature in (0.0, TEMPERATURE):
                found = rate(captions, write(model, tokenizer, captions, temperature))
                shares = (f"{share:.1%}" for share in (found.parsed, found.sayable, found.right))
                place = "unseen combinations" if held_out else "unseen captions"
                rows.append((str(count), place, f"{temperature:g}", *shares, str(found.instructions)))
                print(*rows[-1], sep="  ", flush=True)
    columns = ("triples", "on", "temperature", "parse", "sayable", "right", "different instructions")
    write_section(TITLE, _text(options.captions, size) + markdown_table(columns, rows))


def _text(captions: int, size: int) -> str:
    model = f"a Llama of {size / 2e6:.1f} million weights ({size / 2**20:.1f} MiB in fp16)"
    return (
        f"The mini world's language model, {model}, pre-trained on captions alone and fine-tuned by "
        f"`pairforge finetune … {' '.join(RECIPE)}` with the first 50, 200 and all of 700 triples (a tenth of the "
        f"captions for validation). {captions} captions a row, one answer each. *parse*: the answer has the completion "
        "format. *sayable*: its instruction is one that the grammar says of the caption's scene. *right*: besides, the "
        "edited caption is, letter by letter, what the instruction makes of the caption. Unseen captions are of scenes "
        "that neither training drew; unseen combinations have a colour of a thing, or a sky over a ground, that "
        "neither drew in any scene. Temperature 0 is greedy. One core of the machine above: half an hour to 40 minutes "
        "for the pre-training, two to four for 700 triples.\n\n"
    )


if __name__ == "__main__":
    main()
