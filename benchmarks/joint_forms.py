"""Three forms of Prompt-to-Prompt in joint attention, in one layer: what they cost, and what a pixel's weights sum to.

    python -m benchmarks.joint_forms

All three take the text's columns from the source, Ms_text, and leave the pixels' own, M*_pixels:

    columns   M*_pixels V_pixels + Ms_text V_text, as the paper edits maps and ``p2p.attention.joint_injection`` has it
    divided   the same, divided by what the weights of the pixel sum to
    own mass  M*_pixels V_pixels + m* softmax(Qs Ks_textᵀ/√d) V_text, m* being what the edit's pixel pays to the text

The edit's queries and keys are the source's with as much noise as is said: an edit parts from its source step by step.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention as attention

# SD3.5 medium at 512 pixels, a third of its heads; 77 tokens of CLIP and 256 of T5.
HEADS, PIXELS, TOKENS, WIDTH = 8, 1024, 333, 64
NOISE = (0.1, 0.3, 1.0)
REPEATS = 5

Layer = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


def layer(noise: float) -> Layer:
    """q (1, H, P, d) and k (1, H, P + S, d) of source and edit, and v of the edit."""
    draw = torch.Generator().manual_seed(0)

    def normal(length: int) -> Tensor:
        return torch.randn((1, HEADS, length, WIDTH), generator=draw)

    def parted(x: Tensor) -> Tensor:
        return (x + noise * normal(x.shape[2])) / (1 + noise**2) ** 0.5

    # After their norms, trained queries and keys are longer than a unit normal's: here by √2 each.
    q, k = 2**0.5 * normal(PIXELS), 2**0.5 * normal(PIXELS + TOKENS)
    return q, k, parted(q), parted(k), normal(PIXELS + TOKENS)


def only(v: Tensor, pixels: bool) -> Tensor:
    """Values with those of the text, or of the pixels, zero."""
    kept = v.clone()
    kept[:, :, PIXELS:] *= 0 if pixels else 1
    kept[:, :, :PIXELS] *= 1 if pixels else 0
    return kept


def columns(q_source: Tensor, k_source: Tensor, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return attention(q, k, only(v, True)) + attention(q_source, k_source, only(v, False))


def divided(q_source: Tensor, k_source: Tensor, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return columns(q_source, k_source, q, k, v) / columns(q_source, k_source, q, k, torch.ones_like(v))


def own_mass(q_source: Tensor, k_source: Tensor, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    mass = attention(q, k, only(torch.ones_like(v), False))
    given = attention(q_source, k_source[:, :, PIXELS:], v[:, :, PIXELS:])
    return attention(q, k, only(v, True)) + mass * given


def seconds(form: Callable[..., Tensor], given: Layer) -> float:
    """The fastest of a few runs."""
    found = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        form(*given)
        found.append(time.perf_counter() - started)
    return min(found)


@torch.inference_mode()
def main() -> None:
    print("| form | ms | " + " | ".join(f"sum of weights, noise {noise}" for noise in NOISE) + " |")
    print("|---|---|" + "---|" * len(NOISE))
    for form in (columns, divided, own_mass):
        sums = []
        for noise in NOISE:
            q_source, k_source, q, k, v = layer(noise)
            total = form(q_source, k_source, q, k, torch.ones_like(v))
            sums.append(f"{total.mean():.3f} ± {total.std():.3f}")
        name = form.__name__.replace("_", " ")
        print(f"| {name} | {1e3 * seconds(form, layer(NOISE[0])):.0f} | {' | '.join(sums)} |")
    print("\nDifference from columns, of the output's own size:\n")
    print("| form | " + " | ".join(f"noise {noise}" for noise in NOISE) + " |")
    print("|---|" + "---|" * len(NOISE))
    for form in (divided, own_mass):
        differences = []
        for noise in NOISE:
            given = layer(noise)
            expected = columns(*given)
            differences.append(f"{((form(*given) - expected).norm() / expected.norm()).item():.1%}")
        print(f"| {form.__name__.replace('_', ' ')} | {' | '.join(differences)} |")


if __name__ == "__main__":
    main()
