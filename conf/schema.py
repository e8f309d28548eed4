"""Schema of the configuration: every key with its type. A key that is not here is an error.

``OmegaConf.to_object`` yields these dataclasses for the pipeline. They are not frozen, because OmegaConf makes a frozen
dataclass a read-only node, which no override can change.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, StrEnum
from pathlib import Path

from omegaconf import MISSING

from conf.bounds import (
    ANY_SEED,
    CHANCE,
    GUIDANCE,
    HASH_BITS,
    NOT_NEGATIVE,
    PART,
    SHARE,
    SIMILARITY,
    STEPS,
    Bound,
    at_least,
    between,
    bounded,
)
from conf.running import Cluster, LogLevel, Sheet, Tracker
from conf.sweeps import Sweep


class CaptionsKind(StrEnum):
    """The built-in kinds. A caption source of your own goes by the name of its module."""

    auto = "auto"
    jsonl = "jsonl"
    csv = "csv"
    parquet = "parquet"
    dataset = "dataset"
    text = "text"
    webdataset = "webdataset"
    from_captions = "from_captions"


class Dtype(Enum):
    """``auto`` is bf16 on a GPU, fp16 on one without bf16, and fp32 elsewhere."""

    auto = "auto"
    fp32 = "fp32"
    bf16 = "bf16"
    fp16 = "fp16"


# The functional form allows the hyphen.
Compile = Enum(
    "Compile",
    {
        "auto": "auto",
        "none": "none",
        "default": "default",
        "reduce-overhead": "reduce-overhead",
        "max-autotune": "max-autotune",
    },
)


class EditKind(Enum):
    auto = "auto"
    replace = "replace"
    refine = "refine"


class EditMethod(Enum):
    """Methods of making the edited image. All but ``p2p`` are baselines for comparison."""

    p2p = "p2p"
    sdedit = "sdedit"
    same_seed = "same_seed"


class Inversion(Enum):
    """Ways from a caption pair's image to the latents that its edits start from."""

    direct = "direct"
    ddim = "ddim"
    negative_prompt = "negative_prompt"
    null_text = "null_text"
    rf_inversion = "rf_inversion"


class InputImage(Enum):
    """The input image of a sample whose caption pair has an image."""

    original = "original"
    reconstruction = "reconstruction"


class SamplerName(StrEnum):
    """The built-in samplers. A sampler of your own goes by the name of its module."""

    ddim = "ddim"
    euler = "euler"
    euler_ancestral = "euler_ancestral"
    dpmpp_2m = "dpmpp_2m"
    unipc = "unipc"
    lcm = "lcm"
    flow_match_euler = "flow_match_euler"


class TooLong(Enum):
    error = "error"
    truncate = "truncate"


class Pooled(Enum):
    own = "own"
    source = "source"


class Rounding(Enum):
    nearest = "nearest"
    instructpix2pix = "instructpix2pix"
    google = "google"


class Spacing(Enum):
    linspace = "linspace"
    leading = "leading"
    trailing = "trailing"


class ImageFormat(Enum):
    png = "png"
    jpeg = "jpeg"
    webp = "webp"


# The functional form allows the hyphen.
Keep = Enum("Keep", {"kept": "kept", "all-images": "all-images"})

NOISE_LEVELS = Bound(
    lambda levels: len(levels) == 2 and 0 <= levels[0] < levels[1],
    "be two noise levels that rise from 0, like [0.3,5.0]",
    spec="",
)
GAIN = between(0, 10)
BITS = Bound(lambda bits: bits in (4, 8), "be 4 or 8, or null")
T5_WINDOW = Bound(lambda tokens: 1 <= tokens <= 512, "be from 1 to 512 tokens", spec="")
SHARE_OF_STEPS = Bound(lambda at: 0 < at < 1, "be a share of the steps between 0 and 1, or null for never")


@dataclass
class Fields:
    """The names of the three fields in the source; null tries the known aliases.

    - ``image``: the name of the field with a picture of the input caption; null is image, an empty name none.
    """

    input: str | None = None
    edit: str | None = None
    output: str | None = None
    image: str | None = None


@dataclass
class Captions:
    """Source of the caption pairs.

    - ``kind``: auto (by the extension of the file), jsonl, csv, parquet, dataset, webdataset, text, from_captions, or
      your own module.
    - ``block``: words and phrases; a pair is quarantined if one of its three texts contains one of them. Whole
      words are compared, without regard to case.
    - ``block_file``: a file with more of them, one in each line.
    - ``images``: the folder or bucket from which the paths of images start; null is the folder of the captions. Images
      that have no file (of datasets, of your own module) are kept there, or with null in OUT/run/images.
    - ``image_upscale``: the largest factor by which an image is enlarged to the model's size; a smaller image is
      quarantined.
    """

    kind: str = MISSING
    path: str = MISSING
    split: str | None = None
    fields: Fields = field(default_factory=Fields)
    limit: int | None = bounded(at_least(1), None)
    block: list[str] = field(default_factory=list)
    block_file: str | None = None
    images: str | None = None
    image_upscale: float = bounded(at_least(1), 2.0)


@dataclass
class Model:
    """The diffusion model, and the defaults that suit it.

    - ``path``: a diffusers folder or hub name; ``revision`` is that of the hub.
    - ``family``: your own module that opens the model, for pipelines that PairForge does not know.
    - ``steps``, ``guidance``, ``unit_pairs``: defaults for the sampler and for the size of a unit.
    - ``scoring_decoder``: a small decoder (TAESD, a folder or hub name) for the images that are scored. Candidates
      that pass are decoded in full, scored again, and kept by those scores.
    - ``max_sequence_length``: tokens of T5's window; null is 256 for SD3 and 512 for FLUX.
    - ``variant``: of the weights' files, such as fp16 for ``*.fp16.safetensors``; null finds it if a part of the
      folder has no others.
    - ``staging``: a local folder of each machine; the model's folder is copied there once before it is loaded.
    - ``offload``: text encoders wait in the memory of the host while the denoiser works.
    - ``text_encoder_bits``: 8 or 4 for the weights of T5 (SD3, FLUX), by bitsandbytes; null for all of them.

    Settings that make a GPU faster change the last bits of a result, so they belong to the settings of a run:

    - ``dtype``: auto is bf16 on a GPU, fp16 on one without bf16, and fp32 elsewhere.
    - ``compile``: a mode of torch.compile; all batches then have cluster.batch_rows rows. Compiling takes minutes:
      auto compiles on a GPU, if it has Triton and a C compiler, and no ``limit`` makes the run a short one. If the
      compiler fails, the denoiser runs without, and one line says so. reduce-overhead adds CUDA graphs for batches
      without injection.
    - ``channels_last``: the memory layout of convolutions; null is true on a GPU.
    - ``tf32``: used for everything that is computed in fp32.

    - ``fp8``: the linear layers of a transformer (SD3, FLUX) compute in float8, by torchao.

    - ``compile_cache``: a local folder of each machine for compiled kernels, which one process compiles and the others
      read; null is the folder of torch.compile, below /tmp.
    """

    name: str = MISSING
    path: str = MISSING
    revision: str | None = None
    family: str | None = None
    dtype: Dtype = Dtype.auto
    compile: Compile = Compile.auto
    channels_last: bool | None = None
    tf32: bool = True
    scoring_decoder: str | None = None
    max_sequence_length: int | None = bounded(T5_WINDOW, None)
    fp8: bool = False
    variant: str | None = None
    staging: str | None = None
    offload: bool = False
    text_encoder_bits: int | None = bounded(BITS, None)
    compile_cache: str | None = None
    device: str = "auto"
    steps: int = bounded(STEPS)
    guidance: float = bounded(GUIDANCE)
    unit_pairs: int = bounded(at_least(1), 4)


@dataclass
class Sampler:
    """The sampler, its steps and its guidance.

    - ``name``: one of the options, or your own module.
    - ``guidance_interval``: the noise levels [low, high] with guidance (low < σ <= high); null means all. σ is the
      standard deviation of the noise divided by the factor of the signal, 14.6 to 0.03 for Stable Diffusion.
    - ``negative_prompt``: what the images should not show; null is the model's own, an empty one or zeros (SDXL).
    - ``spacing``: spacing of the timesteps; null is that of the model's scheduler.
    """

    name: str = MISSING
    steps: int = bounded(STEPS)
    guidance: float = bounded(GUIDANCE)
    guidance_interval: list[float] | None = bounded(NOISE_LEVELS, None)
    negative_prompt: str | None = None
    spacing: Spacing | None = None


@dataclass
class Edit:
    """Prompt-to-Prompt: each kind of injection stops at its gain times τ of the steps.

    - ``method``: p2p, sdedit (the strength is 1 − τ) or same_seed (τ is 0); the last two inject nothing.
    - ``kind``: auto, replace (words are swapped) or refine (words are added).
    - ``cross_gain``, ``self_gain``: the gains of cross-attention and self-attention.
    - ``inject_unconditional``: also inject into the rows without a prompt.
    - ``too_long``: a caption that does not fit the text encoder is quarantined (error) or cut (truncate).
    - ``pooled``: whose pooled embedding an edit uses, for models that take one.
    - ``rounding``: how a fraction of the steps becomes a number of steps: to the nearest, or as in InstructPix2Pix or
      google/prompt-to-prompt.
    - ``self_max_size``: self-attention is injected in layers of at most this share of the latents' side, 0.25 in
      google/prompt-to-prompt; null is all layers.
    - ``start``: fraction of the steps before which nothing is injected; null is 0.
    - ``self_tau``: a τ for self-attention, so that only cross-attention varies over the sweep; null is the sweep's.

    Of caption pairs with an image:

    - ``inversion``: the way from the image to the latents that its edits start from; null is direct.
    - ``source``: the input image of a sample, the original or its reconstruction by the model; null is the original.
    """

    method: EditMethod = EditMethod.p2p
    kind: EditKind = MISSING
    cross_gain: float = bounded(GAIN)
    self_gain: float = bounded(GAIN)
    inject_unconditional: bool = MISSING
    too_long: TooLong = TooLong.error
    pooled: Pooled = Pooled.own
    rounding: Rounding = Rounding.nearest
    self_max_size: float | None = bounded(SHARE, None)
    start: float | None = bounded(CHANCE, None)
    self_tau: float | None = bounded(CHANCE, None)
    inversion: Inversion | None = None
    source: InputImage | None = None


@dataclass
class Measure:
    """A measure of the two images besides CLIP, and the bounds of a kept candidate (null: no bound).

    - ``kind``: dino (similarity; ``model``), lpips (distance; ``model`` is a safetensors file), ssim, changed_area
      (share of pixels that changed by more than ``tolerance``), classifier (probability of ``label`` by ``model``,
      the larger one of both images), or your own module, which may use ``model``, ``label`` and ``tolerance`` as it
      likes.
    - ``name``: the name of the score.
    """

    kind: str = MISSING
    name: str = ""
    model: str = ""
    revision: str | None = None
    label: str = ""
    tolerance: float = bounded(CHANCE, 0.1)
    least: float | None = None
    most: float | None = None


@dataclass
class Filter:
    """The CLIP model, the threshold of each score, and how many samples a caption pair may keep.

    - ``name``: local-dir:FOLDER, an open_clip folder on this machine, which needs no network; or a model of open_clip
      with ``pretrained``: a tag of published weights, which the hub's cache keeps, or a safetensors file.
    - ``measures``: further measures, such as filter.measures=[{kind:ssim,least:0.3}].
    - ``near_duplicate``: drops a sample if its input or edit differs from that of a better sample of its pair in at
      most this many of the 192 bits of a perceptual hash; null keeps all.
    - ``reconstruction_psnr`` (dB), ``reconstruction_ssim``, ``reconstruction_clip``: the least likeness of a caption
      pair's image and its reconstruction; null passes all.
    """

    name: str = MISSING
    pretrained: str | None = None
    clip_sim_0: float = bounded(SIMILARITY)
    clip_sim_1: float = bounded(SIMILARITY)
    clip_sim_dir: float = bounded(SIMILARITY)
    clip_sim_image: float = bounded(SIMILARITY)
    max_per_pair: int = bounded(at_least(1))
    measures: list[Measure] = field(default_factory=list)
    near_duplicate: int | None = bounded(HASH_BITS, None)
    reconstruction_psnr: float | None = bounded(NOT_NEGATIVE, None)
    reconstruction_ssim: float | None = bounded(SIMILARITY, None)
    reconstruction_clip: float | None = bounded(SIMILARITY, None)


@dataclass
class Early:
    """Edits that are stopped early.

    After a fraction ``at`` of the steps (null: never) the images that the denoiser predicts are scored. An edit
    that misses a threshold of the filter by more than the margin of that score here is stopped. If all edits of a
    seed stop, its source stops too.
    """

    at: float | None = bounded(SHARE_OF_STEPS, None)
    clip_sim_0: float = bounded(NOT_NEGATIVE, 0.2)
    clip_sim_1: float = bounded(NOT_NEGATIVE, 0.4)
    clip_sim_dir: float = bounded(NOT_NEGATIVE, 0.6)
    clip_sim_image: float = bounded(NOT_NEGATIVE, 0.4)


@dataclass
class Shards:
    """Samples in each shard, and the format of the images; ``quality`` is 1 to 100."""

    samples: int = bounded(at_least(1))
    format: ImageFormat = MISSING
    quality: int = bounded(Bound(lambda quality: 1 <= quality <= 100, "be from 1 to 100"))


OPTIONAL = {
    "model": ("max_sequence_length",),
    "sampler": ("negative_prompt", "spacing"),
    "edit": ("self_max_size", "start", "self_tau"),
}
"""Settings that a plan and a sample record only where they are set."""

OF_IMAGES = {
    "edit": ("inversion", "source"),
    "filter": ("reconstruction_psnr", "reconstruction_ssim", "reconstruction_clip"),
}
"""Settings of caption pairs with images, which a plan records only where they are set."""


COMPILED_PAIRS = 200
"""Caption pairs from which on compiling is repaid: a minute or two for each worker, for a quarter of its time."""


@dataclass
class Config:
    """Settings of the run itself.

    - ``out``: the output, a folder or an object store.
    - ``limit``: the number of caption pairs to read at most; null reads all.
    - ``unit_pairs``: caption pairs in a unit, which is retried and committed as a whole.
    - ``stage``: the class that makes the samples of a unit.
    - ``strict``: a run with a failed pair ends with exit code 3.
    - ``max_failure_rate``: a run of which a larger share of the caption pairs fails ends with exit code 2; it counts
      from 50 pairs on.
    - ``extend``: adds caption pairs that were appended to the input since the output was planned.
    - ``keep``: all-images also stores the images of rejected candidates, for ``pairforge refilter``.
    """

    out: str = "out"
    seed: int = bounded(ANY_SEED, 0)
    limit: int | None = bounded(at_least(1), None)
    unit_pairs: int = bounded(at_least(1), 4)
    stage: str = "stages.generate.Generate"
    strict: bool = False
    max_failure_rate: float = bounded(PART, 0.2)
    extend: bool = False
    keep: Keep = Keep.kept
    log: LogLevel = LogLevel.error
    captions: Captions = MISSING
    model: Model = MISSING
    sweep: Sweep = MISSING
    sampler: Sampler = MISSING
    edit: Edit = MISSING
    filter: Filter = MISSING
    early: Early = field(default_factory=Early)
    shards: Shards = MISSING
    cluster: Cluster = MISSING
    tracker: Tracker = field(default_factory=Tracker)
    sheet: Sheet = field(default_factory=Sheet)

    def compile_mode(self) -> str:
        """Return the mode for ``p2p.load``: ``auto`` does not compile for a run that ``limit`` keeps short."""
        short = self.limit is not None and self.limit < COMPILED_PAIRS
        return "none" if self.model.compile is Compile.auto and short else self.model.compile.value

    def optional(self) -> dict[str, str | int | float]:
        """Return the values of those settings of ``OPTIONAL`` that are set, by name."""
        values = {
            name: getattr(getattr(self, group), name) for group, names in OPTIONAL.items() for name in names
        }
        return {
            name: value.value if isinstance(value, Enum) else value
            for name, value in values.items()
            if value is not None
        }

    def stays_local(self) -> bool:
        """Return True if everything that the run reads is on this machine, so that no hub is needed."""
        scorer = self.filter
        clip = scorer.name.startswith("local-dir:") or Path(scorer.pretrained or "").is_file()
        models = [
            self.model.path,
            self.model.scoring_decoder,
            *(measure.model for measure in scorer.measures),
        ]
        return clip and all(Path(path).exists() for path in (*models, self.captions.path) if path)
