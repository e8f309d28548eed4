"""``pairforge pairs captions.path=FILE writer=… out=DIR``: writes caption pairs from captions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from operator import attrgetter

from conf.hydra_options import HydraOptions
from conf.pairs import PairsConfig
from pipeline.config import environment, resolve, saved
from pipeline.errors import FAILED_PAIRS
from pipeline.output import OutputMode, output_mode


def pairs(settings: Sequence[str], hydra: HydraOptions, quiet: bool, json: bool) -> int:
    """Write caption pairs from captions.

    captions.path=FILE   the captions
    writer=miniworld     what writes instructions and edited captions
    edits=1              edits of each caption
    out=pairs            the folder of pairs.jsonl and of the report

    seed, limit, strict, extend, log, captions, cluster and tracker mean the
    same as in a run. The same command resumes a run that was stopped. Exit
    code 3: captions failed, and strict=true.

    Examples:

      pairforge pairs captions.path=captions.txt limit=100
      pairforge pairs -m writer.temperature=0.5,0.9 captions.path=captions.txt
      pairforge captions=jsonl captions.path=pairs/pairs.jsonl

    Raises ConfigError, WriterError and as ``pipeline.execution.run.run`` does.
    """
    mode = output_mode(quiet, json)
    settings, hydra = saved.take_saved(settings, hydra, PairsConfig)
    if resolve.print_instead(settings, hydra, PairsConfig):
        return 0
    if hydra.multirun:
        # Imported here, because it reads outputs with libraries that a wrong setting need not wait for.
        from pipeline.execution import multirun

        keys, combinations = resolve.expand(settings, hydra, PairsConfig)
        return multirun.run_combinations(
            keys,
            combinations,
            partial(resolve.read_pairs_settings, options=hydra),
            attrgetter("out"),
            lambda configs: environment.prepare(*configs),
            _run,
            mode,
        )
    config = resolve.read_pairs_settings(settings, hydra)
    environment.prepare(config)
    return _run(config, mode)


def _run(config: PairsConfig, mode: OutputMode) -> int:
    # Imported here, because the libraries read the environment when they are imported.
    from pipeline.execution.run import run
    from pipeline.tasks.task import task_of

    task_of(config).check()
    return FAILED_PAIRS if run(config, mode).failed and config.strict else 0
