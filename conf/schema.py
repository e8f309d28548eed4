"""The schema of the configuration: every key there is, with its type. A key that is not here is an error.

The dataclasses are what the pipeline reads (``OmegaConf.to_object`` yields them). They are not frozen because
OmegaConf takes a frozen dataclass for a read-only node, which no override could reach.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, StrEnum
from pathlib import Path

from omegaconf import MISSING

from conf.running import Cluster, LogLevel, Sheet, Tracker
from conf.sweeps import Sweep


class CaptionsKind(StrEnum):
    """What comes along; a kind of one's own goes by its module's name."""

    auto = "auto"
    jsonl = "jsonl"
    csv = "csv"
    parquet = "parquet"
    dataset = "dataset"
    text = "text"
    from_captions = "from_captions"


class Dtype(Enum):
    """``auto`` is half precision on a GPU (fp16, for SD3 and FLUX bf16) and fp32 elsewhere."""

    auto = "auto"
    fp32 = "fp32"
    bf16 = "bf16"
    fp16 = "fp16"


# In this form because of the hyphen.
Compile = Enum("Compile", {"none": "none", "default": "default", "max-autotune": "max-autotune"})


class EditKind(Enum):
    auto = "auto"
    replace = "replace"
    refine = "refine"


class EditMethod(Enum):
    """How the edited image is made; all but ``p2p`` are there to be measured against."""

    p2p = "p2p"
    sdedit = "sdedit"
    same_seed = "same_seed"


class SamplerName(StrEnum):
    """What comes along; a sampler of one's own goes by its module's name."""

    ddim = "ddim"
    euler = "euler"
    euler_ancestral = "euler_ancestral"
    dpmpp_2m = "dpmpp_2m"
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


class ImageFormat(Enum):
    png = "png"
    jpeg = "jpeg"
    webp = "webp"


# In this form because of the hyphen.
Keep = Enum("Keep", {"kept": "kept", "all-images": "all-images"})


@dataclass
class Fields:
    """The source's own names of the three fields; ``null`` tries the known aliases."""

    input: str | None = None
    edit: str | None = None
    output: str | None = None


@dataclass
class Captions:
    """Where the caption pairs come from.

    ``kind``: auto (by the file's name), jsonl, csv, parquet, dataset, text, from_captions, or a module of one's own.
    ``block``: words and phrases, whole and in any case, that set a pair aside where one of its three texts has them;
    ``block_file`` has more, one a line.
    """

    kind: str = MISSING
    path: str = MISSING
    split: str | None = None
    fields: Fields = field(default_factory=Fields)
    limit: int | None = None
    block: list[str] = field(default_factory=list)
    block_file: str | None = None


@dataclass
class Model:
    """A diffusers folder or hub name, and what suits it: steps, guidance, and caption pairs enough to fill batches.

    What makes a GPU faster changes the last bits of a result, so it belongs to a run's settings: ``compile`` (a mode of
    torch.compile; its minutes pay off over many pairs, with cluster.batch_rows in every batch), ``channels_last``
    layout of convolutions, and ``tf32`` for what is computed in fp32, SDXL's autoencoder among it.

    ``scoring_decoder``: a small decoder (TAESD, a folder or hub name) whose images are scored in place of the model's.
    What passes is decoded in full, scored again, and kept by those scores.

    ``family``: a module of one's own that opens the model, for pipelines that PairForge does not know.
    """

    name: str = MISSING
    path: str = MISSING
    revision: str | None = None
    family: str | None = None
    dtype: Dtype = Dtype.auto
    compile: Compile = Compile.none
    channels_last: bool = False
    tf32: bool = True
    scoring_decoder: str | None = None
    device: str = "auto"
    steps: int = MISSING
    guidance: float = MISSING
    unit_pairs: int = 4


@dataclass
class Sampler:
    """The sampler, its steps and its guidance.

    ``name``: one of the options, or a module of one's own.
    ``guidance_interval``: the noise levels [low, high] between which there is guidance (low < σ <= high); null is
    all. σ is the noise's standard deviation over the signal's factor, 14.6 to 0.03 for Stable Diffusion.
    """

    name: str = MISSING
    steps: int = MISSING
    guidance: float = MISSING
    guidance_interval: list[float] | None = None


@dataclass
class Edit:
    """Prompt-to-Prompt's injection: each kind stops at its gain times τ of the steps.

    With the method ``sdedit`` the strength is 1 − τ, with ``same_seed`` τ is 0; the injection means nothing to them.
    ``too_long``: captions that do not fit the model's text encoder are set aside (error), or lose their last words.
    ``pooled``: whose pooled embedding an edit gets, where the model takes one.
    ``rounding``: from a fraction of the steps to their number, to the nearest or as InstructPix2Pix does.
    """

    method: EditMethod = EditMethod.p2p
    kind: EditKind = MISSING
    cross_gain: float = MISSING
    self_gain: float = MISSING
    inject_unconditional: bool = MISSING
    too_long: TooLong = TooLong.error
    pooled: Pooled = Pooled.own
    rounding: Rounding = Rounding.nearest


@dataclass
class Measure:
    """A measure of the two images beside CLIP's, and what a kept candidate's lies between (null: nothing).

    ``kind``: dino (likeness; ``model``), lpips (distance; ``model`` is a safetensors file), ssim, changed_area (share
    of pixels that moved by more than ``tolerance``), classifier (probability of ``label`` by ``model``, the larger of
    both images'), or a module of one's own, to which ``model``, ``label`` and ``tolerance`` mean what it likes.
    ``name`` is the score's.
    """

    kind: str = MISSING
    name: str = ""
    model: str = ""
    revision: str | None = None
    label: str = ""
    tolerance: float = 0.1
    least: float | None = None
    most: float | None = None


@dataclass
class Filter:
    """The CLIP that scores, the threshold of each score, and how many samples a caption pair may keep.

    ``measures`` are further ones: filter.measures=[{kind:ssim,least:0.3}]. ``near_duplicate``: of a pair's samples none
    is kept whose input or edit differs from a better one's in so few of the 192 bits of a perceptual hash; null keeps
    them.
    """

    name: str = MISSING
    pretrained: str | None = None
    clip_sim_0: float = MISSING
    clip_sim_1: float = MISSING
    clip_sim_dir: float = MISSING
    clip_sim_image: float = MISSING
    max_per_pair: int = MISSING
    measures: list[Measure] = field(default_factory=list)
    near_duplicate: int | None = None


@dataclass
class Early:
    """Edits that are left on the way: after a part ``at`` of the steps, null for never, the images that the denoiser
    predicts then are scored, and an edit that misses a threshold of the filter by more than that score's number here is
    not finished. Where none of a seed is, its source is not either.
    """

    at: float | None = None
    clip_sim_0: float = 0.2
    clip_sim_1: float = 0.4
    clip_sim_dir: float = 0.6
    clip_sim_image: float = 0.4


@dataclass
class Shards:
    samples: int = MISSING
    format: ImageFormat = MISSING
    quality: int = MISSING


@dataclass
class Config:
    """``stage`` is the class that makes a unit's samples. With ``strict`` a run with a failed pair ends with code 3.

    With ``extend`` caption pairs that were appended to the input since the output was planned are added to its plan.
    ``keep``: with all-images those of rejected candidates stay in the parts, for ``pairforge refilter`` to choose from.
    """

    out: str = "out"
    seed: int = 0
    limit: int | None = None
    unit_pairs: int = 4
    stage: str = "stages.generate.Generate"
    strict: bool = False
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
