"""The dataset card: what the output holds, and which of its files ``load_dataset`` reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from conf.schema import Config, EditMethod
from conf.sweeps import AdaptiveSweep, GridSweep, RandomSweep, Sweep
from pipeline.dataset.chosen import rules
from pipeline.dataset.funnel import Funnel
from stages.candidates.selection import model_name
from stages.formats.images import EXTENSIONS

# Without `configs`, load_dataset would read the scores beside the shards instead of them.
CARD = """---
configs:
- config_name: default
  data_files: data/*.tar
task_categories:
- image-to-image
language:
- en
license: unknown
tags:
- webdataset
- image-editing
- instruct-pix2pix
- synthetic
---
# Paired image-editing data

{grid}{samples:,} samples (input image, instruction, edited image) from {pairs_kept:,} of {pairs:,} caption pairs,
made by PairForge: {method} with the model {model} ({steps} {sampler} steps),
{candidates:,} candidates scored by CLIP ({clip}), at most {max_per_pair} kept a caption pair.

```python
from datasets import load_dataset
data = load_dataset("path/to/this/folder", split="train")
```

Columns: `input_image.{ext}`, `edit_prompt.txt`, `edited_image.{ext}`, `json`, `__key__`.

## Files

| file | holds |
|---|---|
| `data/train-*.tar` | WebDataset shards: KEY.input_image.{ext}, KEY.edited_image.{ext}, KEY.edit_prompt.txt, KEY.json |
| `scores/*.parquet` | every candidate, kept or not, with its scores and the reason |
| `quarantine/*.jsonl` | lines of input that could not be used, and pairs that failed, each with its reason |
| `run/` | configuration, versions, plan and commits |
{written}
## KEY.json

| field | meaning |
|---|---|
| `input_prompt`, `edit_prompt`, `output_prompt` | the captions and the instruction |
| `p2p_threshold` | tau: the fraction of the steps, from the first, with the source's attention in the edit |
| `cfg_scale`, `seed`, `steps`, `sampler` | guidance, and what else the sampler was given |
| `edit_method` | p2p; sdedit (SDEdit, `p2p_threshold` is 1 - strength); same_seed (nothing injected) |
| `edit_kind`, `cross_gain`, `self_gain`, `inject_unconditional` | the injection: each kind ends at its gain times tau |
| `rounding` | from a fraction of the steps to their number: nearest, or instructpix2pix |
| `too_long`, `pooled` | what became of captions over the text encoder's length, and whose pooled embedding was used |
| `clip_sim_0`, `clip_sim_1` | cosine of each image with its caption |
| `clip_sim_dir` | cosine of the change of image with the change of caption |
| `clip_sim_image` | cosine of the two images |
| `model`, `model_revision`, `model_fingerprint`, `dtype` | the generator |
| `pair_id`, `sample_index` | which caption pair, and which of its samples |
| `meta` | the input line's other fields, as JSON text |

{about}"""

EXPORTED = """---
configs:
- config_name: default
  data_files:
{files}
task_categories:
- image-to-image
language:
- en
license: unknown
tags:
- image-editing
- instruct-pix2pix
- synthetic
---
# Paired image-editing data

{grid}{samples:,} samples (input image, instruction, edited image): {splits}. They are of {pairs_kept:,} of {pairs:,}
caption pairs, chosen among {candidates:,} candidates. All samples that share an input caption are in one split: no
caption, pair, seed or tau of one scene is on both sides.

```python
from datasets import load_dataset
data = load_dataset("path/to/this/folder")
```

Columns: `input_image`, `edit_prompt`, `edited_image`, `key`, then what made the sample, one column each.

{about}"""

WRITTEN = """| `pairs/` | the caption pairs as they were written from captions: every answer, a report, a `run/` |
"""
GRID = """![Source, edits over tau, and the ones that were kept](contact-sheet.png)

"""

ABOUT = """## How it was made

| | |
|---|---|
| model | {model}, revision {revision} |
| method | {method} |
| tried a caption pair | {sweep} |
| sampler | {sampler}, {steps} steps{guidance} |
| injection | cross-attention until {e.cross_gain:g} tau, self-attention until {e.self_gain:g} tau |
| CLIP | {clip} |
{rules}

## Licence

To be filled in by whoever publishes this, here and as `license` at the top of the file:

- the caption pairs, and who may use them: …
- the images, which {model} made: what its licence says of its outputs: …
- this dataset: …

## Bias and limits

The images are synthetic. They show what {model} makes of the captions, with its stereotypes of people, places and
professions and with the gaps of what it was trained on, and CLIP, which has its own, chose among them. A caption does
not show that what it says is in the picture: the scores are similarities, and some pairs miss the edit or change what
it does not name. Edits that keep a picture's layout are kept more often than those that must change it. No face,
name or mark was removed, and nobody has looked at every sample.
"""

METHODS = {
    EditMethod.p2p: "Prompt-to-Prompt over a sweep of tau",
    EditMethod.sdedit: "SDEdit over a sweep of strengths",
    EditMethod.same_seed: "the same seed under both captions, without Prompt-to-Prompt,",
}


def card(
    config: Config, funnel: Funnel, grid: bool, written: bool = False, duplicates: int | None = None
) -> str:
    """The text of the output's README.md.

    ``grid``: whether there is a contact sheet to show; ``written``: whether its caption pairs were written first;
    ``duplicates``: as ``pairforge refilter`` was told, of samples that are almost those of an earlier caption pair.
    """
    return CARD.format(
        grid=GRID if grid else "",
        written=WRITTEN if written else "",
        samples=funnel.samples,
        pairs_kept=funnel.pairs_kept,
        pairs=funnel.pairs,
        candidates=funnel.candidates,
        method=METHODS[config.edit.method],
        model=model_name(config),
        steps=config.sampler.steps,
        sampler=config.sampler.name,
        clip=_clip(config),
        max_per_pair=config.filter.max_per_pair,
        ext=EXTENSIONS[config.shards.format],
        about=_about(config, duplicates),
    )


def exported(
    config: Config, funnel: Funnel, splits: Mapping[str, int], grid: bool, duplicates: int | None = None
) -> str:
    """The README.md of an export whose splits have so many samples each; the rest as for ``card``."""
    return EXPORTED.format(
        files="\n".join(f"  - split: {name}\n    path: data/{name}-*.parquet" for name in splits),
        samples=sum(splits.values()),
        splits=", ".join(f"{name} {count:,}" for name, count in splits.items()),
        grid=GRID if grid else "",
        pairs_kept=funnel.pairs_kept,
        pairs=funnel.pairs,
        candidates=funnel.candidates,
        about=_about(config, duplicates),
    )


def _about(config: Config, duplicates: int | None) -> str:
    return ABOUT.format(
        model=model_name(config),
        revision=config.model.revision or "not pinned",
        method=METHODS[config.edit.method].rstrip(","),
        sweep=_sweep(config.sweep),
        sampler=config.sampler.name,
        steps=config.sampler.steps,
        guidance="" if isinstance(config.sweep, RandomSweep) else f", guidance {config.sampler.guidance:g}",
        clip=_clip(config),
        e=config.edit,
        rules="\n".join(f"| {name} | {words} |" for name, words in rules(config, duplicates)),
    )


def _sweep(sweep: Sweep) -> str:
    if isinstance(sweep, RandomSweep):
        return (
            f"{sweep.samples} seeds, each with a tau from {sweep.tau_min} to {sweep.tau_max} and a guidance from "
            f"{sweep.guidance_min} to {sweep.guidance_max}"
        )
    if isinstance(sweep, AdaptiveSweep):
        return (
            f"up to {sweep.seeds} seeds, each at up to {sweep.taus_per_seed} of tau "
            f"{', '.join(map(str, sweep.taus))}, chosen by what the pair's seeds before it scored"
        )
    assert isinstance(sweep, GridSweep)
    return f"{sweep.seeds} seeds, each with tau {', '.join(map(str, sweep.taus))}"


def _clip(config: Config) -> str:
    return Path(config.filter.name.removeprefix("local-dir:")).name
