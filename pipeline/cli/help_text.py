"""The text of ``pairforge --help``."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import click

from conf.setting_keys import GROUPS, default_of, options

TOP = """\
pairforge makes paired data for instruction-following image editors: it renders caption pairs with
Prompt-to-Prompt over a sweep of tau, keeps what CLIP approves, and writes WebDataset shards.

  pairforge                                            the demo: the mini world, into out/
  pairforge captions=jsonl captions.path=pairs.jsonl   your own caption pairs
            model=sd15 model.path=FOLDER out=FOLDER    with Stable Diffusion 1.5
  pairforge experiment=instructpix2pix …               the published recipe
  pairforge plan …                                     an estimate of the run, before you start it
  pairforge --cfg job [settings]                       print every setting, run nothing

Commands (pairforge COMMAND --help explains each):
"""

MIDDLE = """
A caption pair is {"input": …, "edit": …, "output": …}: caption, instruction, edited caption.
The same command resumes a run that was stopped. --quiet prints errors alone, --json one line of
JSON at the end, --version the version. Tab completion: eval "$(pairforge completion bash)"

Exit codes: 0 done, 1 not finished (the same command resumes it), 2 an error that you can fix,
3 done with failed pairs under strict=true, 130 stopped by Ctrl-C.

Settings are key=value.

  out=out          where the dataset goes: a folder, or s3://… gs://…
  seed=0           of the run; each sample's own seed follows from it and from the pair
  limit=N          only the first N caption pairs
  unit_pairs=N     caption pairs that are made, retried and committed together
  sheet.pairs=12   caption pairs on contact-sheet.png
  strict=false     true: a run with failed pairs ends with exit code 3
  extend=false     true: caption pairs appended to the input are added to the plan
  log=error        error, warning, info or debug (debug: everything on the terminal)

A group is chosen by group=option and changed by group.key=value (* is the default):
"""

BOTTOM = """
Examples of keys: captions.path, model.path, model.compile, model.scoring_decoder, sampler.steps,
sampler.guidance_interval=[0.3,5.0] (in noise levels), sweep.taus=[0.3,0.6], sweep.seeds,
sampler.guidance, edit.self_gain, filter.clip_sim_dir, filter.max_per_pair, shards.samples,
cluster.workers, cluster.batch_rows, cluster.hours (the run stops itself after so many).

Baselines for comparison: edit.method=sdedit (strength 1 - tau) or same_seed (tau 0).
"""


def write(formatter: click.HelpFormatter, commands: Mapping[str, str]) -> None:
    """Write the help. ``commands``: a line about each command by its usage."""
    formatter.write(TOP)
    with formatter.indentation():
        formatter.write_dl(list(commands.items()), col_max=40)
    formatter.write(MIDDLE)
    write_groups(formatter, GROUPS)
    formatter.write(BOTTOM)


def write_groups(formatter: click.HelpFormatter, groups: Sequence[str]) -> None:
    """Write the options of each group of settings, with a star at the default."""
    for group in groups:
        formatter.write(f"\n  {group}\n")
        default = default_of(group)
        for name, summary in options(group).items():
            label = f"  {'*' if name == default else ' '} {name:<16}  "
            text = textwrap.fill(
                summary,
                formatter.width,
                initial_indent=label,
                subsequent_indent=" " * len(label),
                break_on_hyphens=False,
            )
            formatter.write(f"{text}\n")
