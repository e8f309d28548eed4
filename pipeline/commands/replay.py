"""``pairforge replay OUT KEY [PNG]``: makes one sample again and compares it with the stored one."""

from __future__ import annotations

import io
import time
from dataclasses import replace
from json import loads
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from conf.config_errors import ConfigError
from conf.messages import suggest_name
from conf.schema import Config, Keep
from pipeline.config import environment, saved
from pipeline.dataset.pack import manifest
from pipeline.output import OutputMode, output_mode
from pipeline.planning.plan import Plan, load
from pipeline.planning.run_fingerprint import difference, identify, settings_of
from stages.candidates.scoring import CLIP_SCORES
from stages.candidates.selection import sample_key, sample_metadata
from stages.formats import tar
from stages.formats.tar import as_stored
from stages.records import Candidate, Sample, UnitResult
from stages.storage.commits import read_commit
from stages.storage.ownership import check_picture, write_picture
from stages.storage.plan_files import read_units
from stages.storage.store import Store
from stages.worker.process import load_stage

DIFFERENT = 1
IMAGES = ("input_image", "edited_image")


def replay(out: str, key: str, quiet: bool, json: bool, picture: str | None = None) -> int:
    """Make one sample again and compare it with the stored one.

    Renders the sample's whole unit in the batches in which it was made,
    because batches of another shape round differently. On one kind of
    hardware the difference is 0. Exit code 1: the samples differ.

    PNG shows both samples and their difference: OUT/replay/KEY.png.

    Example: pairforge replay out KEY difference.png

    Raises ConfigError for an unknown key, DamageError, PlanError, ModelError and FilterError.
    """
    mode = output_mode(quiet, json)
    if picture:
        if not Path(picture).parent.is_dir():
            raise ConfigError(f"{picture} is in a folder that does not exist: make it, or give another path")
        check_picture(Path(picture), "PNG")
    store = Store(out)
    plan, config = load(store), saved.read_image_config(store)
    stored = find_sample(store, key)
    environment.prepare(config)
    planned = {name: value for name, value in plan.settings.items() if not name.startswith("refilter.")}
    changed = difference(planned, settings_of(config, plan.settings["captions"], identify(config)))
    mode.say(*(f"changed since the run: {line}" for line in changed))
    answer: dict[str, Any] = {"out": store.url, "key": key, "changed": changed}
    if plan.is_refiltered:
        # A run would not keep a sample that replaces one whose image is missing.
        config = replace(config, keep=Keep["all-images"])
    result = _generate(store, plan, config, stored.metadata["pair_id"], mode)
    sample = _select(result, plan, config, stored)
    if sample is None:
        reason = _reason(result, stored)
        mode.say(f"{key} was not kept this time: {reason}")
        mode.answer(answer | {"equal": False, "reason": reason, "differences": [], "picture": None})
        return DIFFERENT
    images: dict[str, Any] = {name: as_stored(getattr(sample, name), config.shards) for name in IMAGES}
    again = replace(sample, **images)
    buffer = io.BytesIO()
    draw(stored, again).save(buffer, "PNG")
    if picture:
        write_picture(Path(picture), buffer.getvalue(), "PNG")
    else:
        store.write(f"replay/{key}.png", buffer.getvalue())
    shown = picture or store.path(f"replay/{key}.png")
    mode.say(f"both samples and their difference: {shown}")
    differences = _compare(stored, again, mode)
    mode.answer(
        answer | {"equal": not differences, "reason": "", "differences": differences, "picture": shown}
    )
    return DIFFERENT if differences else 0


def find_sample(store: Store, key: str) -> Sample:
    """Read a sample from its shard. Raises ConfigError for an unknown key, DamageError for a damaged shard."""
    keys: list[str] = []
    for file in manifest(store):
        if file.name.startswith("data/"):
            for name, members in tar.read_samples(store.read_checked(file.name, file.sha256)):
                if name == key:
                    files = {member.partition(".")[0]: content for member, content in members.items()}
                    source, edit = (tar.decode_image(files[image]) for image in IMAGES)
                    prompt, metadata = files["edit_prompt"].decode(), loads(files["json"])
                    return Sample(key, source, edit, prompt, metadata)
                keys.append(name)
    raise ConfigError(f"{store.url} has no sample {key}{suggest_name(key, keys, most=4, least=0.5)}")


def draw(stored: Sample, again: Sample) -> Image.Image:
    """Draw input and edited image in three rows: stored, made again, and |difference|, stretched to white."""
    columns = []
    for name in IMAGES:
        gap = _gap(stored, again, name)
        stretched = (gap * (255 // max(1, int(gap.max())))).astype(np.uint8)
        columns.append(np.concatenate([getattr(stored, name), getattr(again, name), stretched]))
    return Image.fromarray(np.concatenate(columns, axis=1))


def _generate(store: Store, plan: Plan, config: Config, pair_id: str, mode: OutputMode) -> UnitResult:
    """Generate the unit of a caption pair again."""
    unit = next(
        unit for unit in read_units(store, plan.units) if any(pair.id == pair_id for pair in unit.pairs)
    )
    seconds = sum(read_commit(store, unit.index)["seconds"].values())
    mode.say(
        f"unit {unit.index} ({len(unit.pairs)} caption pairs) is made again, in the batches it was made in: "
        f"it took {seconds:.0f} s"
    )
    start = time.monotonic()
    result = load_stage(config.stage)(config, identify(config).generator)(unit)
    mode.say(f"made again in {time.monotonic() - start:.0f} s, models included")
    return result


def _select(result: UnitResult, plan: Plan, config: Config, stored: Sample) -> Sample | None:
    """Return the sample that was made again; of a refiltered output with the stored τ, even if it is rejected."""
    kept = {sample.key: sample for sample in result.samples}
    if not plan.is_refiltered:
        return kept.get(stored.key)
    for index, candidate in enumerate(_candidates(result, stored)):
        if candidate.tau == stored.metadata["p2p_threshold"]:
            if candidate.kept:
                return kept.get(sample_key(candidate))
            images = next(images for images in result.rejected if images.key == sample_key(candidate))
            pair = next(pair for pair in result.unit.pairs if pair.id == candidate.pair_id)
            metadata = sample_metadata(pair, candidate, config, plan.model_fingerprint)
            return Sample(images.key, images.input_image, images.edited_images[index], pair.edit, metadata)
    return None


def _reason(result: UnitResult, stored: Sample) -> str:
    for failure in result.failures:
        if failure.pair_id == stored.metadata["pair_id"]:
            return failure.reason
    candidates = _candidates(result, stored)
    return "; ".join(f"τ = {c.tau:g}: {c.reason}, clip_sim_dir {c.clip_sim_dir:.6f}" for c in candidates)


def _candidates(result: UnitResult, stored: Sample) -> list[Candidate]:
    sample = stored.metadata["pair_id"], stored.metadata["sample_index"]
    return [
        candidate for candidate in result.candidates if (candidate.pair_id, candidate.sample_index) == sample
    ]


def _compare(stored: Sample, again: Sample, mode: OutputMode) -> list[str]:
    """Print a comparison. Returns a line for each difference."""
    differences = []
    for name in IMAGES:
        gap = _gap(stored, again, name)
        line = f"{name:<15} difference {gap.max()} of 255 at most, {gap.mean():.4f} in the mean"
        mode.say(line)
        differences += [line] if gap.any() else []
    for name in CLIP_SCORES:
        before, now = stored.metadata[name], again.metadata[name]
        mode.say(f"{name:<15} {before:.6f}, now {now:.6f}, difference {abs(now - before):.2g}")
    for line in difference(stored.metadata, again.metadata):
        differences.append(line)
        if line.partition(" was ")[0] not in CLIP_SCORES:
            mode.say(f"JSON: {line}")
    mode.say("the samples differ" if differences else "no difference")
    return differences


def _gap(stored: Sample, again: Sample, name: str) -> NDArray[np.int16]:
    return np.abs(getattr(stored, name).astype(np.int16) - getattr(again, name).astype(np.int16))
