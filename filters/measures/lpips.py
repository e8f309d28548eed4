"""Distance of the two images as a network sees them that was fitted to what people see."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_model

# Its public functions unpickle their weights, and fetch the network's; the class takes any.
from torchmetrics.functional.image.lpips import _LPIPS

from conf.messages import error_line
from filters.errors import FilterError
from filters.measures.lpips_weights import HOW, lpips_weights
from filters.measures.measure import Score, each, paired
from filters.measures.pixels import Images, Pixels

_FIRST, _FIRST_OF_SQUEEZE = "net.slice1.0.weight", "net.slices.0.0.weight"
_KERNEL_OF_ALEX = 11


class Lpips:
    """LPIPS (Zhang et al. 2018, equation 1) by torchmetrics: 0 is equal, and larger is further apart.

    Each pair is measured by itself, so it does not depend on its company.
    """

    def __init__(self, weights: str, device: str = "auto") -> None:
        """`weights` is a safetensors file of torchmetrics' whole module, by AlexNet, VGG or SqueezeNet.

        Raises:
            FilterError: no such file, one of another kind or content, no such device.
        """
        path = lpips_weights(weights)
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            self._name = _network(path)
            self._net = _LPIPS(pretrained=False, pnet_rand=True, net=self._name)
            load_model(self._net, path)
            self._net.to(device)
        except (SafetensorError, RuntimeError, OSError) as error:
            raise FilterError(f"{weights} cannot be loaded as LPIPS: {error_line(error)}") from error
        self._device = device

    @torch.inference_mode()
    def score(self, inputs: Images, outputs: Images) -> Score:
        """Raises FilterError as `paired` does, and for images that are too small for the network."""

        def distance(before: Pixels, after: Pixels) -> float:
            first, second = (
                torch.from_numpy(image.copy()).permute(2, 0, 1)[None].to(self._device).float() / 255
                for image in (before, after)
            )
            try:
                return float(self._net(first, second, normalize=True))
            except RuntimeError as error:
                raise FilterError(
                    f"an image of {before.shape}: LPIPS by {self._name} cannot take it ({error})"
                ) from error

        return each(paired(inputs, outputs), distance)


def _network(path: Path) -> Literal["alex", "vgg", "squeeze"]:
    with safe_open(path, framework="pt") as file:
        names = set(file.keys())
        if _FIRST_OF_SQUEEZE in names:
            return "squeeze"
        if _FIRST not in names:
            raise FilterError(f"{path} is not LPIPS as torchmetrics has it; {HOW}")
        return "alex" if file.get_slice(_FIRST).get_shape()[-1] == _KERNEL_OF_ALEX else "vgg"
