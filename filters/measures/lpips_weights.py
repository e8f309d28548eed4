"""Weights that have to be made into safetensors by whoever wants them, once."""

from __future__ import annotations

from pathlib import Path

from filters.errors import FilterError

HOW = (
    "make it once, where weights may be fetched and unpickled: "
    'python -c "from safetensors.torch import save_model as s; '
    "from torchmetrics.functional.image.lpips import _LPIPS as n; s(n(net='alex'), 'lpips.safetensors')\""
)


def lpips_weights(weights: str) -> Path:
    """The file with LPIPS's. Raises FilterError for none, and for what may be a pickle, with how to make one."""
    path = Path(weights)
    if not path.is_file():
        raise FilterError(f"{weights}: no such file; LPIPS takes its weights as safetensors: {HOW}")
    if path.suffix != ".safetensors":
        raise FilterError(f"{weights} may be a pickle, which is never loaded; {HOW}")
    return path
