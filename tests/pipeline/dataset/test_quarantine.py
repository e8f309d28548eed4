from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from conf.schema import ImageFormat
from pipeline.dataset.quarantine import NAME, write_failures
from stages import write
from stages.storage.commits import commit_name, read_commits
from tests.pipeline.report.outputs import output


def test_pairs_that_succeed_later_leave_the_list(tmp_path: Path):
    store, results = output(str(tmp_path), done=3, planned=3)
    for healed in range(4):
        for result in results[:healed]:
            store.remove(commit_name(result.unit.index))
            repaired = replace(result, failures=())
            write.write_unit(store, write.encode_part(repaired, ImageFormat.png), write.summarise(repaired))
        write_failures(store, list(read_commits(store, range(3))))
        listed = store.read(NAME).splitlines() if store.exists(NAME) else []
        assert [json.loads(line)["input"] for line in listed] == [
            result.unit.pairs[1].input for result in results[healed:]
        ]
    assert not store.exists(NAME)
