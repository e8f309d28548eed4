"""Photographs that a package ships, through the whole line with a model of Stable Diffusion 1.5's shape."""

from __future__ import annotations

import json
import resource
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.speed.random_models import save_sd15
from pipeline.dataset import integrity
from pipeline.dataset.contact_sheet import read_previews
from pipeline.planning.plan import load
from stages.candidates.reconstruction import peak_ratio
from stages.formats import tar
from stages.generate import Generate
from stages.images.decode import decode
from stages.storage.commits import read_commits
from stages.storage.store import Store
from tests import runs

SIDE = 256
CAPTIONS = {
    "astronaut.png": ("a photo of an astronaut", "a painting of an astronaut"),
    "chelsea.png": ("a photo of a cat", "a photo of a dog"),
    "coffee.png": ("a cup of coffee", "a cup of tea"),
    "retina.jpg": ("a photo of an eye", "a drawing of an eye"),
    "camera.png": ("a man with a camera", "a man with a telescope"),
}
"""Among them a grey picture, and three that are not square."""


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_photographs_come_back_as_the_autoencoder_gives(tmp_path: Path, clip_folder: Path) -> None:
    package = find_spec("skimage")
    if package is None or not package.submodule_search_locations:
        pytest.skip("scikit-image is not installed: pip install scikit-image")
    data = Path(package.submodule_search_locations[0]) / "data"
    model = save_sd15(tmp_path / "sd15", SIDE)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(data / "astronaut.png").transpose(Image.Transpose.ROTATE_90).save(
        tmp_path / "turned.jpg", exif=exif
    )
    records = [
        {"input": before, "edit": f"make it {after}", "output": after, "image": str(data / name)}
        for name, (before, after) in CAPTIONS.items()
    ]
    records.append({**records[0], "image": "turned.jpg"})
    file = tmp_path / "pairs.jsonl"
    file.write_text("".join(json.dumps(record) + "\n" for record in records))
    more = (f"captions.path={file}", "captions=jsonl", f"out={tmp_path / 'out'}", "sweep.taus=[0.5]")
    config = runs.config(model, clip_folder, *more, "sampler.steps=2", "sampler.guidance=1", "unit_pairs=3")
    stages = list[Generate]()

    class Kept(Generate):
        """A stage that the test can ask for its editor."""

        def __init__(self, config: object, fingerprint: str) -> None:
            super().__init__(config, fingerprint)
            stages.append(self)

    runs.packed(config, Kept)
    store = Store(config.out)
    assert list(integrity.in_packed(store, load(store))) == []
    (shard,) = store.list("data")
    samples = dict(tar.read_samples(store.read(shard)))
    assert len(samples) == len(records)
    by_image = {json.loads(json.loads(files["json"])["meta"])["image"]: files for files in samples.values()}
    decoder = stages[0].editor.family.decoder
    previews = {
        json.loads(preview.pair.meta)["image"]: preview
        for preview in read_previews(store, read_commits(store, range(2)))
    }
    for record in records:
        name = record["image"]
        original = decode((tmp_path / name).read_bytes(), SIDE, SIDE, 2)
        assert np.array_equal(tar.decode_image(by_image[name]["input_image.png"]), original)
        returned = decoder(decoder.encode(original)[None])[0]
        reconstruction = tar.decode_image(previews[name].other[1])
        assert np.abs(reconstruction.astype(int) - returned.astype(int)).max() <= 1
        psnr = json.loads(by_image[name]["json"])["reconstruction_psnr"]
        assert psnr == pytest.approx(peak_ratio(original, returned), abs=0.05)
    ends = (records[0], records[-1])
    upright, turned = (tar.decode_image(by_image[record["image"]]["input_image.png"]) for record in ends)
    assert peak_ratio(upright, turned) > 25
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 12 * 2**20  # kilobytes
