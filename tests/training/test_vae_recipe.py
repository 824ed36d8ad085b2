"""The recipe of the small speech VAE, and what it made."""

from pathlib import Path

import numpy as np
import soundfile
import soxr
import torch

from dacse_cli.codec.loading import load_codec
from dacse_cli.codec.vae.mel import MelSpectrum
from dacse_cli.codec.vae.shape import SAMPLE_RATE, read_vae_shape
from dacse_cli.training.runs.recipe import read_run_recipe
from dacse_cli.training.vae.recipe import VaeRecipe

EXAMPLES = Path(__file__).parents[2] / "examples"
FOLDER = EXAMPLES / "recipes" / "vae"


def test_the_recipe_is_read_and_its_network_is_of_its_shape():
    recipe = read_run_recipe(VaeRecipe, FOLDER / "vae.toml")
    assert [stage.name for stage in recipe.stages()] == ["mel", "sharp"]
    assert read_vae_shape(FOLDER / "config.json") == read_vae_shape(FOLDER / "trained")


def test_speech_comes_back_from_its_latents():
    """Its own latents give the mel of a voice that it has not heard; the same in reverse order do not."""
    sound, rate = soundfile.read(EXAMPLES / "clean" / "telephone.flac", dtype="float32")
    wav = soxr.resample(sound, rate, SAMPLE_RATE)[: 16 * 4096].astype(np.float32)
    codec, mel = load_codec(FOLDER / "trained"), MelSpectrum()
    latents = codec.encode(wav[None])
    assert latents.shape == (1, 80, 16)
    wanted = mel(torch.from_numpy(wav)[None])
    off = [
        (mel(torch.from_numpy(codec.decode(units))) - wanted).abs().mean().item()
        for units in (latents, latents[:, :, ::-1].copy())
    ]
    assert off[0] < 0.6 * off[1]
