"""The command line: ``pairforge [key=value …]`` and ``pairforge COMMAND …``."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace

from omegaconf import OmegaConf

import pipeline.cli.help
from conf.compose import ConfigError
from conf.pairs import PairsConfig
from conf.schema import Config
from pipeline.cli import output, registry
from pipeline.cli.output import Voice
from pipeline.config import environment, resolve
from pipeline.errors import (
    FAILED_PAIRS,
    INTERRUPTED,
    STOPPED,
    UNFINISHED,
    USER_ERROR,
    RunError,
    TabledError,
    misplaced,
)
from pipeline.pairs import two_step_settings
from stages.worker.launch import forkserver

OWN_PACKAGES = frozenset({"pipeline", "stages", "p2p", "filters", "miniworld", "conf"})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code: 0, 1 for a run that is not finished, 2 for what the user can mend.

    Either of those is one line on stderr, and under it a table where several settings differ. With strict=true, 3 is a
    finished run with pairs that failed.
    """
    try:
        return _dispatch(list(sys.argv[1:] if arguments is None else arguments))
    except ValueError as error:
        # The project's own ValueErrors are written for the user; a library's is a fault of ours.
        if type(error).__module__.partition(".")[0] not in OWN_PACKAGES:
            raise
        print(f"pairforge: {' '.join(str(error).split())}", file=sys.stderr)
        for row in error.table if isinstance(error, TabledError) else ():
            print(f"  {row}", file=sys.stderr)
        return USER_ERROR
    except BrokenPipeError:
        # As of ``| head``: who reads no more need not be told, by Python at its end either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNFINISHED
    except OSError as error:
        print(f"pairforge: {misplaced(error)}", file=sys.stderr)
        return USER_ERROR
    except RunError as error:
        print(f"pairforge: {error}", file=sys.stderr)
        return UNFINISHED
    except KeyboardInterrupt:
        print(f"pairforge: {STOPPED}", file=sys.stderr)
        return INTERRUPTED


def _dispatch(arguments: list[str]) -> int:
    if arguments and "=" not in arguments[0] and not arguments[0].startswith("-"):
        return registry.run(arguments[0], arguments[1:])
    if {"-h", "--help"} & set(arguments):
        print(pipeline.cli.help.text())
        return 0
    if "--cfg" in arguments:
        position = arguments.index("--cfg")
        if arguments[position + 1 : position + 2] != ["job"]:
            raise ConfigError("--cfg takes the word job: pairforge --cfg job")
        print("---\n".join(_composed(arguments[:position] + arguments[position + 2 :])), end="")
        return 0
    form, given = output.split(arguments)
    options = [argument for argument in given if argument.startswith("-")]
    if options:
        raise ConfigError(
            f"there is no option {options[0]}: only --help, --cfg job, --quiet and --json; settings are key=value"
        )
    if two_step_settings.wanted(given):
        return _run_both(*two_step_settings.configured(given), form)
    return _run(resolve.checked(resolve.compose(given)), form)


def _composed(given: Sequence[str]) -> Iterator[str]:
    """The configuration as YAML; those of both halves where caption pairs are written first."""
    if two_step_settings.wanted(given):
        yield from (
            OmegaConf.to_yaml(OmegaConf.structured(half)) for half in two_step_settings.configured(given)
        )
    else:
        yield OmegaConf.to_yaml(resolve.compose(given))


def _run(config: Config, form: Voice) -> int:
    environment.prepare(config)
    # Before anything else: the models' libraries take longest to import.
    with forkserver(config):
        # Imported here, because the libraries read the environment when they are imported.
        from pipeline.execution.run import run

        return FAILED_PAIRS if run(config, form).failed and config.strict else 0


def _run_both(pairs: PairsConfig, images: Config, form: Voice) -> int:
    # The file that the second reads is yet to be written.
    environment.prepare(pairs, replace(images, captions=pairs.captions))
    # Imported here, as above.
    from pipeline.execution import two_step_run

    return two_step_run.run(pairs, images, form)


if __name__ == "__main__":
    sys.exit(main())
