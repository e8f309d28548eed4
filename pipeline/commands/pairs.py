"""``pairforge pairs captions.path=FILE writer=… out=FOLDER``: a writer makes caption pairs from captions."""

from __future__ import annotations

from collections.abc import Sequence

from conf.compose import options
from pipeline.cli import output
from pipeline.config import environment
from pipeline.errors import FAILED_PAIRS
from pipeline.pairs import pairs_settings


def main(arguments: Sequence[str]) -> int:
    """Write caption pairs as ``pairforge captions=jsonl captions.path=FOLDER/pairs.jsonl`` reads them.

    0, or 3 where captions failed and strict=true. The same command again goes on. Raises ConfigError, WriterError and
    as ``pipeline.execution.run.run`` does.
    """
    if {"-h", "--help"} & set(arguments):
        print(
            __doc__
            + "\n\n"
            + "\n".join(f"  writer={name:<14} {about}" for name, about in options("writer").items())
            + "\n\n--quiet says nothing but errors, --json one line of JSON at the end."
        )
        return 0
    form, given = output.split(arguments)
    config = pairs_settings.read(given)
    environment.prepare(config)
    # Imported here, because the libraries read the environment when they are imported.
    from pipeline.execution.run import run
    from pipeline.tasks.task import task_of

    task_of(config).check()

    return FAILED_PAIRS if run(config, form).failed and config.strict else 0
