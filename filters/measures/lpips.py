"""LPIPS: perceptual distance by a network that was fitted to people's judgements."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_model

# The public functions unpickle the weights and fetch the network. The class does neither.
from torchmetrics.functional.image.lpips import _LPIPS

from conf.messages import error_line
from filters.errors import FilterError
from filters.measures.measure import Score, pair_pixels, score_each
from filters.pixels import Images, Pixels

CONVERT = (
    "make it once, where weights may be fetched and unpickled: "
    'python -c "from safetensors.torch import save_model as s; '
    "from torchmetrics.functional.image.lpips import _LPIPS as n; s(n(net='alex'), 'lpips.safetensors')\""
)
_FIRST_LAYER, _FIRST_LAYER_OF_SQUEEZE = "net.slice1.0.weight", "net.slices.0.0.weight"
_KERNEL_OF_ALEX = 11


class Lpips:
    """LPIPS (Zhang et al. 2018, equation 1) by torchmetrics: 0 is equal, and larger is further apart.

    Each pair is scored by itself, so a score does not depend on the other pairs.
    """

    def __init__(self, weights: str, device: str = "auto") -> None:
        """`weights` is a safetensors file of the whole torchmetrics module, with AlexNet, VGG or SqueezeNet.

        Raises:
            FilterError: no such file, another kind of file or content, no such device.
        """
        path = find_weights(weights)
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            self._name = _find_network(path)
            self._net = _LPIPS(pretrained=False, pnet_rand=True, net=self._name)
            load_model(self._net, path)
            self._net.to(device)
        except (SafetensorError, RuntimeError, OSError) as error:
            raise FilterError(f"{weights} cannot be loaded as LPIPS: {error_line(error)}") from error
        self._device = device

    @torch.inference_mode()
    def score(self, inputs: Images, outputs: Images) -> Score:
        """Measures the distance of each pair: float32 (N,).

        Raises FilterError as `pair_pixels` does, and for images that are too small for the network.
        """

        def distance(before: Pixels, after: Pixels) -> float:
            first, second = (
                torch.from_numpy(image.copy()).permute(2, 0, 1)[None].to(self._device).float() / 255
                for image in (before, after)
            )
            try:
                return float(self._net(first, second, normalize=True))
            except RuntimeError as error:
                raise FilterError(
                    f"an image of {before.shape} is too small for LPIPS by {self._name} ({error})"
                ) from error

        return score_each(pair_pixels(inputs, outputs), distance)


def find_weights(weights: str) -> Path:
    """Finds the weights file. Raises FilterError, with the way to make one, if it is missing or may be a pickle."""
    path = Path(weights)
    if not path.is_file():
        raise FilterError(f"{weights}: no such file; LPIPS takes its weights as safetensors: {CONVERT}")
    if path.suffix != ".safetensors":
        raise FilterError(f"{weights} may be a pickle, which is never loaded; {CONVERT}")
    return path


def _find_network(path: Path) -> Literal["alex", "vgg", "squeeze"]:
    with safe_open(path, framework="pt") as file:
        names = set(file.keys())
        if _FIRST_LAYER_OF_SQUEEZE in names:
            return "squeeze"
        if _FIRST_LAYER not in names:
            raise FilterError(f"{path} is not LPIPS as torchmetrics has it; {CONVERT}")
        return "alex" if file.get_slice(_FIRST_LAYER).get_shape()[-1] == _KERNEL_OF_ALEX else "vgg"
