from __future__ import annotations

import pytest

from conf.compose import ConfigError
from pipeline.cli.output import Voice, split


@pytest.mark.parametrize(
    ("arguments", "voice"),
    [(["a=1"], Voice.terminal), (["--json", "a=1"], Voice.json), (["a=1", "--quiet"], Voice.quiet)],
)
def test_the_voice_may_stand_anywhere(arguments: list[str], voice: Voice):
    assert split(arguments) == (voice, ["a=1"])


def test_two_voices_are_refused():
    with pytest.raises(ConfigError, match="--quiet and --json"):
        split(["--quiet", "a=1", "--json"])
