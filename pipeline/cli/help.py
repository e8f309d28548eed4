"""What ``pairforge --help`` prints."""

from __future__ import annotations

import textwrap

from conf.compose import GROUPS, default_of, options
from pipeline.cli import registry
from pipeline.cli.registry import WIDTH

TOP = """\
pairforge makes paired data for instruction-following image editors: it renders caption pairs with
Prompt-to-Prompt over a sweep of tau, keeps what CLIP approves, and writes WebDataset shards.

  pairforge                                            the demo: the mini world, into out/
  pairforge captions=jsonl captions.path=pairs.jsonl   your own caption pairs
            model=sd15 model.path=FOLDER out=FOLDER    with Stable Diffusion 1.5
  pairforge experiment=instructpix2pix …               the published recipe
  pairforge plan …                                     what that would take, before it is begun
  pairforge --cfg job [settings]                       print every setting, run nothing

"""

INPUT = """
A caption pair is {"input": …, "edit": …, "output": …}: caption, instruction, edited caption.
The same command again goes on where the last one ended. --quiet says nothing but errors, --json
one line of JSON at the end. Exit codes: 0 done, 1 not finished (the same command goes on), 2 for
what is to be mended, 3 done with failed pairs under strict=true, 130 stopped by Ctrl-C.

Settings are key=value.

  out=out          where the dataset goes: a folder, or s3://… gs://…
  seed=0           of the run; each sample's own seed follows from it and from the pair
  limit=N          only the first N caption pairs
  unit_pairs=N     caption pairs that are made, retried and committed together
  sheet.pairs=12   rows of contact-sheet.png
  strict=false     true: a run with failed pairs ends with exit code 3
  extend=false     true: caption pairs appended to the input are added to the plan
  log=error        error, warning, info or debug (debug: everything on the terminal)

A group is chosen by group=option and changed by group.key=value (* is the default):
"""

BOTTOM = """
Examples of keys: captions.path, model.path, model.compile, model.scoring_decoder, sampler.steps,
sampler.guidance_interval=[0.3,5.0] (in noise levels), sweep.taus=[0.3,0.6], sweep.seeds,
sampler.guidance, edit.self_gain, filter.clip_sim_dir, filter.max_per_pair, shards.samples,
cluster.workers, cluster.batch_rows, cluster.hours (the run ends itself after so many).

To measure Prompt-to-Prompt against: edit.method=sdedit (strength 1 - tau) or same_seed (tau 0).
"""


def text() -> str:
    groups = []
    for group in GROUPS:
        choices, default = options(group), default_of(group)
        groups.append(f"  {group}")
        groups += [_option(name, about, name == default) for name, about in choices.items()]
    return TOP + "\n".join(registry.lines()) + "\n" + INPUT + "\n" + "\n".join(groups) + "\n" + BOTTOM


def _option(name: str, about: str, is_default: bool) -> str:
    label = f"  {'*' if is_default else ' '} {name:<16}  "
    indent = " " * len(label)
    return textwrap.fill(about, WIDTH, initial_indent=label, subsequent_indent=indent, break_on_hyphens=False)
