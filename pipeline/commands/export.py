"""``pairforge export OUT to=DIR``: writes a finished run as Parquet."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.dataset.split import SPLITS
from pipeline.export import export_settings, write_dataset
from pipeline.output import output_mode
from stages.storage.store import Store


def export(out: str, settings: Sequence[str], quiet: bool, json: bool) -> int:
    """Write a finished run as Parquet for datasets and trainers.

    to=DIR              an empty folder or a URL
    format=hf-parquet   what the datasets library reads
    split=[1.0]         shares of train, validation and test
    rows=1000           samples of a Parquet file
    push_to_hub=null    OWNER/NAME: upload to this dataset of the hub

    Example: pairforge export out to=parquet split=[0.9,0.05,0.05]

    Raises ConfigError for invalid settings, for an output without samples, for a folder that is not empty, and for what
    the hub refuses; StoreError.
    """
    mode = output_mode(quiet, json)
    chosen = export_settings.read(settings)
    target = Store(chosen.to)
    counts = write_dataset.write_dataset(Store(out), target, chosen)
    splits = ", ".join(f"{name} {count:,}" for name, count in counts.items())
    mode.say(f"{target.url}: {sum(counts.values()):,} samples ({splits})")
    shares = zip(SPLITS, chosen.split, strict=False)
    empty = [name for name, share in shares if share > 0 and name not in counts]
    if empty:
        mode.say(
            f"no sample is in {' and '.join(empty)}: a split gets whole captions, and this dataset has few: give it a "
            "larger share in split=[…], or make more samples"
        )
    if chosen.push_to_hub:
        write_dataset.push(target, chosen.push_to_hub)
    pushed = chosen.push_to_hub
    mode.answer(
        {"to": target.url, "samples": sum(counts.values()), "splits": counts, "pushed_to_hub": pushed}
    )
    return 0
