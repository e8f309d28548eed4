"""Exported data through diffusers' own InstructPix2Pix: steps of optimisation as its trainer makes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from datasets import Dataset, load_dataset
from torch.nn import functional as F

from pipeline.cli.main import main
from pipeline.dataset.pack import pack
from stages.storage.commits import read_commits
from tests.editors import instruct_pix2pix
from tests.pipeline.outputs import commit, planned

SIZE = 16


def exported(folder: Path) -> Dataset:
    store, plan = planned(folder / "out", 2)
    commit(store, [2, 2])
    pack(store, list(read_commits(store, range(plan.units))), 10)
    assert main(["export", str(folder / "out"), f"to={folder / 'set'}"]) == 0
    return load_dataset(str(folder / "set"), split="train", cache_dir=str(folder / "cache"))


def pixels(data: Dataset, column: str) -> torch.Tensor:
    """float32 (N, 3, SIZE, SIZE) in [-1, 1], made as train_instruct_pix2pix.py does."""
    images = [
        np.array(image.convert("RGB").resize((SIZE, SIZE))).transpose(2, 0, 1) for image in data[column]
    ]
    return torch.from_numpy(2 * (np.stack(images) / 255) - 1).float()


def test_the_loss_falls_and_the_trained_pipeline_edits(tmp_path: Path):
    data = exported(tmp_path)
    editor = instruct_pix2pix()
    unet, vae, noise_of = editor.unet, editor.vae, editor.scheduler
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        latents = vae.encode(pixels(data, "edited_image")).latent_dist.mode() * vae.config.scaling_factor
        given = vae.encode(pixels(data, "input_image")).latent_dist.mode()
        tokens = editor.tokenizer(
            data["edit_prompt"][:], padding="max_length", truncation=True, return_tensors="pt"
        )
        text = editor.text_encoder(tokens.input_ids)[0]
    noise = torch.randn(latents.shape, generator=generator)
    steps = torch.randint(0, noise_of.config.num_train_timesteps, (len(data),), generator=generator)
    optimizer = torch.optim.AdamW(unet.parameters(), lr=1e-3)
    losses = []
    for _ in range(30):
        noisy = noise_of.add_noise(latents, noise, steps)
        predicted = unet(torch.cat([noisy, given], dim=1), steps, encoder_hidden_states=text).sample
        loss = F.mse_loss(predicted, noise)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0] / 2
    editor.set_progress_bar_config(disable=True)
    edited = editor(
        data[0]["edit_prompt"],
        image=data[0]["input_image"].resize((SIZE, SIZE)),
        num_inference_steps=2,
        generator=generator,
        output_type="np",
    ).images
    assert edited.shape == (1, SIZE, SIZE, 3)
    assert np.isfinite(edited).all()
    assert edited.std() > 0
