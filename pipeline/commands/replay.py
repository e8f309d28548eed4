"""``pairforge replay OUT KEY``: make one sample again from what the output says of it, and show the difference."""

from __future__ import annotations

import hashlib
import io
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from conf.compose import ConfigError
from conf.messages import nearest_names
from conf.schema import Config, Keep
from pipeline.config import environment, saved
from pipeline.dataset.pack import PackedFile, manifest
from pipeline.planning.plan import Plan, load
from pipeline.planning.run_fingerprint import difference, identify, settings_of
from stages.candidates.scoring import CLIP_SCORES
from stages.candidates.selection import sample_key, sample_metadata
from stages.formats import tar
from stages.formats.images import as_stored, decode
from stages.records import Sample, Unit, UnitResult
from stages.storage.checksum import DamageError
from stages.storage.commits import read_commit
from stages.storage.plan_files import read_units
from stages.storage.store import Store
from stages.worker import load_stage

DIFFERS = 1


class KeyUnknownError(ValueError):
    """The output has no such sample: one line with those that are like it."""


@dataclass(frozen=True)
class Shown:
    """A sample as a shard has it: both images uint8 (H, W, 3), and its JSON."""

    input_image: np.ndarray
    edited_image: np.ndarray
    metadata: dict[str, Any]


def replay(out: str, key: str, picture: str | None = None) -> int:
    """Make one sample again and compare it with the stored one: 1 if they differ.

    Renders the sample's whole unit in the batches in which it was made, because batches of another
    shape round differently. On one kind of hardware the difference is 0.

    PNG shows both samples and their difference (default: OUT/replay/KEY.png).

    Raises KeyUnknownError, DamageError for a damaged shard or plan, PlanError, ModelError and FilterError.
    """
    if picture and not Path(picture).parent.is_dir():
        raise ConfigError(f"{picture} is in a folder that does not exist: make it, or give another path")
    store = Store(out)
    plan, config = load(store), saved.read_image_config(store)
    unit = _unit_of(store, plan, key)
    old = _packed(store, key)
    environment.prepare(config)
    for line in _changed(plan, config):
        print(f"not what it was made with: {line}")
    if plan.is_refiltered:
        # What stands in for a missing image, a run would not have kept.
        config = replace(config, keep=Keep["all-images"])
    seconds = sum(read_commit(store, unit.index)["seconds"].values())
    print(
        f"unit {unit.index} ({len(unit.pairs)} caption pairs) is made again, in the batches it was made in: "
        f"it took {seconds:.0f} s"
    )
    started = time.monotonic()
    result = load_stage.make(config.stage, config, identify(config).generator)(unit)
    print(f"made again in {time.monotonic() - started:.0f} s, models included")
    new = _of_tau(result, plan, config, old) if plan.is_refiltered else _kept(result, key)
    if new is None:
        print(f"{key} was not kept this time: {_why(result, key)}")
        return DIFFERS
    again = Shown(
        as_stored(new.input_image, config.shards), as_stored(new.edited_image, config.shards), new.metadata
    )
    buffer = io.BytesIO()
    beside(old, again).save(buffer, "PNG")
    if picture:
        Path(picture).write_bytes(buffer.getvalue())
    else:
        store.write(f"replay/{key}.png", buffer.getvalue())
    print(f"both, and the difference: {picture or store.path(f'replay/{key}.png')}")
    return _told(old, again)


def beside(old: Shown, again: Shown) -> Image.Image:
    """Three rows of input and edited image: the shard's, those made again, and |difference|, stretched to white."""
    rows = []
    for name in ("input_image", "edited_image"):
        before, now = getattr(old, name), getattr(again, name)
        gap = _gap(before, now)
        stretched = (gap * (255 // max(1, int(gap.max())))).astype(np.uint8)
        rows.append(np.concatenate([before, now, stretched]))
    return Image.fromarray(np.concatenate(rows, axis=1))


def _told(old: Shown, again: Shown) -> int:
    same = True
    for name in ("input_image", "edited_image"):
        gap = _gap(getattr(old, name), getattr(again, name))
        same &= not gap.any()
        print(f"{name:<15} difference {gap.max()} of 255 at most, {gap.mean():.4f} in the mean")
    for name in CLIP_SCORES:
        before, now = old.metadata[name], again.metadata[name]
        print(f"{name:<15} {before:.6f}, now {now:.6f}, difference {abs(now - before):.2g}")
    others = difference(
        {name: value for name, value in old.metadata.items() if name not in CLIP_SCORES},
        {name: value for name, value in again.metadata.items() if name not in CLIP_SCORES},
    )
    for line in others:
        print(f"JSON: {line}")
    same &= old.metadata == again.metadata
    print("no difference" if same else "the sample is another one")
    return 0 if same else DIFFERS


def _gap(before: np.ndarray, now: np.ndarray) -> np.ndarray:
    return np.abs(before.astype(np.int16) - now.astype(np.int16))


def _unit_of(store: Store, plan: Plan, key: str) -> Unit:
    pair_id = key.rpartition("-")[0]
    ids: list[str] = []
    for unit in read_units(store, plan.units):
        for pair in unit.pairs:
            if pair.id == pair_id:
                return unit
            ids.append(pair.id)
    near = nearest_names(pair_id or key, ids, least=0.5)
    keys = [name for name in _keys(store) if near and name.startswith(near[0])]
    raise KeyUnknownError(f"{store.url} has no caption pair {pair_id or key}{_mean(keys)}")


def _packed(store: Store, key: str) -> Shown:
    """The sample from its shard, which is held to its digest first."""
    pair_id = key.rpartition("-")[0]
    kin: list[str] = []
    for file in _shards(store):
        for name, files in tar.read_samples(_whole(store, file)):
            if name == key:
                images = {member.partition(".")[0]: data for member, data in files.items()}
                about = json.loads(files["json"])
                return Shown(decode(images["input_image"]), decode(images["edited_image"]), about)
            if name.startswith(pair_id):
                kin.append(name)
    raise KeyUnknownError(f"{store.url} kept no sample {key}{_mean(kin)}")


def _keys(store: Store) -> list[str]:
    return [name for file in _shards(store) for name, _ in tar.read_samples(_whole(store, file))]


def _shards(store: Store) -> list[PackedFile]:
    return [file for file in manifest(store) if file.name.startswith("data/")]


def _whole(store: Store, file: PackedFile) -> bytes:
    try:
        data = store.read(file.name)
    except FileNotFoundError:
        data = b""
    if hashlib.sha256(data).hexdigest() != file.sha256:
        raise DamageError(
            f"{store.path(file.name)} is damaged or missing: pairforge repair {store.url} packs it again"
        )
    return data


def _mean(keys: Sequence[str]) -> str:
    return f": did you mean {', '.join(keys[:4])}?" if keys else ""


def _changed(plan: Plan, config: Config) -> list[str]:
    planned = {name: value for name, value in plan.settings.items() if not name.startswith("refilter.")}
    return difference(planned, settings_of(config, plan.settings["captions"], identify(config)))


def _kept(result: UnitResult, key: str) -> Sample | None:
    return next((sample for sample in result.samples if sample.key == key), None)


def _of_tau(result: UnitResult, plan: Plan, config: Config, old: Shown) -> Sample | None:
    """The sample with the τ that the shard has, whether it would be kept this time or not."""
    pair = next(pair for pair in result.unit.pairs if pair.id == old.metadata["pair_id"])
    own = [
        c for c in result.candidates if (c.pair_id, c.sample_index) == (pair.id, old.metadata["sample_index"])
    ]
    place = next((k for k, c in enumerate(own) if c.tau == old.metadata["p2p_threshold"]), None)
    if place is None:
        return None
    key = sample_key(own[place])
    if own[place].kept:
        return _kept(result, key)
    images = next(images for images in result.rejected if images.key == key)
    about = sample_metadata(pair, own[place], config, plan.model_fingerprint)
    return Sample(key, images.input_image, images.edited_images[place], pair.edit, about)


def _why(result: UnitResult, key: str) -> str:
    pair_id, _, index = key.rpartition("-")
    for failure in result.failures:
        if failure.pair_id == pair_id:
            return failure.reason
    tried = [c for c in result.candidates if (c.pair_id, c.sample_index) == (pair_id, int(index))]
    return "; ".join(f"τ = {c.tau:g}: {c.reason}, clip_sim_dir {c.clip_sim_dir:.6f}" for c in tried)
