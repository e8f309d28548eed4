"""The dataset card: what the output holds, and which of its files ``load_dataset`` reads."""

from __future__ import annotations

from pathlib import Path

from conf.schema import Config, EditMethod
from pipeline.funnel import Funnel
from stages.images import EXTENSIONS
from stages.rendered import model_name

# Without `configs`, load_dataset would read the scores beside the shards instead of them.
CARD = """---
configs:
- config_name: default
  data_files: data/*.tar
task_categories:
- image-to-image
tags:
- webdataset
- image-editing
- synthetic
---
# Paired image-editing data

{samples:,} samples (input image, instruction, edited image) from {pairs_kept:,} of {pairs:,} caption pairs,
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

Thresholds: clip_sim_0 {f.clip_sim_0}, clip_sim_1 {f.clip_sim_1}, clip_sim_dir {f.clip_sim_dir},
clip_sim_image {f.clip_sim_image}.
"""

METHODS = {
    EditMethod.p2p: "Prompt-to-Prompt over a sweep of tau",
    EditMethod.sdedit: "SDEdit over a sweep of strengths",
    EditMethod.same_seed: "the same seed under both captions, without Prompt-to-Prompt,",
}


def card(config: Config, funnel: Funnel) -> str:
    """The text of the output's README.md."""
    return CARD.format(
        samples=funnel.samples,
        pairs_kept=funnel.pairs_kept,
        pairs=funnel.pairs,
        candidates=funnel.candidates,
        method=METHODS[config.edit.method],
        model=model_name(config),
        steps=config.sampler.steps,
        sampler=config.sampler.name.value,
        clip=Path(config.filter.name.removeprefix("local-dir:")).name,
        max_per_pair=config.filter.max_per_pair,
        ext=EXTENSIONS[config.shards.format],
        f=config.filter,
    )
