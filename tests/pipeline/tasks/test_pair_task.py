from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import pytest

from pipeline.dataset.funnel import Funnel
from pipeline.planning.plan import PlanError
from pipeline.tasks.pair_task import PairTask
from stages.records import CaptionPair, Quarantined
from stages.writers.base import WriterError
from tests.pipeline.pairs import small
from tests.pipeline.pairs.test_pack_pairs import planned, write


def differing(folder: Path, *more: str) -> set[str]:
    """The settings by which a run with ``more`` is refused on the output of one without."""
    with pytest.raises(PlanError, match="other settings") as caught:
        planned(folder, *more)
    if not caught.value.table:
        return {str(caught.value).partition("(")[2].partition(" was ")[0]}
    return {row.split()[0] for row in caught.value.table[1:]}


def test_settings_that_change_results_are_named(tmp_path: Path) -> None:
    planned(tmp_path)
    planned(tmp_path, "writer.timeout=3", "cluster.threads=2", "log=info", "sheet.pairs=3")
    for name in ("seed=1", "edits=3", "file=parquet", "checks.near_duplicate=0.5", "checks.language=en"):
        assert differing(tmp_path, name) == {name.partition("=")[0]}
    assert differing(tmp_path, "captions.block=[none_has_this]") == {"captions.block"}
    assert differing(tmp_path, "checks.block=[none_has_this]") == {"checks.block"}
    asked = ("writer=openai", "writer.model=x", "edits=3")
    assert {"writer.kind", "edits", "model.fingerprint", "writer.template"} <= differing(tmp_path, *asked)


def test_files_and_models_enter_by_their_content(tmp_path: Path, untrained_chat: Path) -> None:
    block, template, judge_of_words = tmp_path / "block", tmp_path / "own.yaml", tmp_path / "classifier"
    block.write_text("naked\n")
    template.write_text("ask: 'Caption: {caption}'")
    shutil.copytree(untrained_chat, judge_of_words)
    settings = [
        "writer=openai",
        "writer.model=x",
        "writer.key_env=null",
        f"writer.template={template}",
        f"checks.block_file={block}",
        f"captions.block_file={block}",
        f"checks.moderation={judge_of_words}",
    ]
    planned(tmp_path, *settings)
    other = block.rename(tmp_path / "other")
    planned(tmp_path, *settings, f"checks.block_file={other}", f"captions.block_file={other}")
    block.write_text("naked\nblue\n")
    assert differing(tmp_path, *settings, f"captions.block_file={other}") == {"checks.block"}
    block.write_text("Naked")
    template.write_text("ask: 'The caption: {caption}'")
    assert differing(tmp_path, *settings) == {"writer.template"}
    template.write_text("ask: 'Caption: {caption}'")
    planned(tmp_path, *settings)
    (judge_of_words / "config.json").write_text("{}")
    assert differing(tmp_path, *settings) == {"checks.moderation"}


def test_the_task_reads_captions_without_edits(tmp_path: Path) -> None:
    config, _, plan = planned(tmp_path)
    items = list(PairTask(config).read())
    good = [item for item in items if isinstance(item, CaptionPair)]
    assert [pair.input for pair in good] == [*small.CAPTIONS, "a girl riding a horse"]
    assert {(pair.edit, pair.output) for pair in good} == {("", "")}
    assert sum(isinstance(item, Quarantined) for item in items) == plan.quarantined == 1


def test_a_missing_key_is_refused_before_planning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, _, _ = planned(tmp_path, "writer=openai", "writer.model=x", "writer.key_env=NO_SUCH_KEY")
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    with pytest.raises(WriterError, match="NO_SUCH_KEY"):
        PairTask(config).check()
    monkeypatch.setenv("NO_SUCH_KEY", "a")
    PairTask(config).check()


def test_a_report_needs_every_unit(tmp_path: Path) -> None:
    config, store, plan = planned(tmp_path)
    write(config, store, plan, [0, 2])
    with pytest.raises(PlanError, match=r"is not complete \(2 of 4 units\): end its run first"):
        PairTask(config).write_report(store)
    write(config, store, plan, [1, 3])
    assert PairTask(config).write_report(store)
    assert "caption pairs" in store.read("report/index.html").decode()


def test_the_summary_names_the_next_command(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    config, _, _ = planned(tmp_path, "file=parquet")
    PairTask(config).tell(Funnel(read=3, pairs=3, failed=1), 2.4)
    shown = capsys.readouterr().out
    assert "First caption pair kept after 2 s" in shown
    assert "pairforge captions=parquet captions.path=pairs/pairs.parquet" in shown
    assert "1 captions got no answer" in shown


def test_the_encoder_reaches_a_worker(tmp_path: Path) -> None:
    encode = PairTask(planned(tmp_path)[0]).encode
    assert pickle.loads(pickle.dumps(encode)) == encode
