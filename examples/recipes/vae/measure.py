"""What a trained speech VAE keeps of recordings that it has not seen, beside its own vocoder's limit.

    python measure.py RUN/sharp RECORDINGS OUT --noise 0.3

Writes OUT/clean (mono, 22.05 kHz), OUT/vae (encoded and decoded), OUT/noise (the same with noise on the
latents) and OUT/limit (mels of the recording itself through the same vocoder), and prints the mean absolute
difference of log-mels between each and the recording's own. `dacse evaluate` scores the folders.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import soundfile
import soxr
import torch

from dacse_cli.codec.vae.codec import VaeNetwork, vae_shapes
from dacse_cli.codec.vae.mel import MelSpectrum
from dacse_cli.codec.vae.shape import HOP, SAMPLE_RATE, read_vae_shape
from dacse_cli.errors import CodecError
from dacse_cli.weights.loading import load_folder


def read(path: Path, multiple: int) -> np.ndarray:
    """A recording as mono at 22.05 kHz, zeros behind it up to a whole number of latents."""
    sound, rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono = soxr.resample(sound.mean(axis=1), rate, SAMPLE_RATE)
    return np.pad(mono, (0, -len(mono) % multiple)).astype(np.float32)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("recordings", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--noise", type=float, default=0.3, help="deviation of the noise on the latents")
    options = parser.parse_args()
    shape = read_vae_shape(options.model)
    network = VaeNetwork(shape, load_folder(options.model, vae_shapes(shape), CodecError))
    mels, chance = MelSpectrum(), torch.Generator().manual_seed(0)
    for name in ("clean", "vae", "noise", "limit"):
        (options.out / name).mkdir(parents=True, exist_ok=True)
    distances = []
    for path in sorted(options.recordings.iterdir()):
        wav = torch.from_numpy(read(path, HOP * shape.autoencoder.reduction))[None]
        with torch.inference_mode():
            mel = mels(wav)
            latents = network.autoencoder.encode(mel)
            noise = torch.randn(latents.shape, generator=chance) * options.noise
            plain, noisy = (network.autoencoder.decode(units) for units in (latents, latents + noise))
            made = {"vae": plain, "noise": noisy, "limit": mel}
            sounds = {name: network.vocoder(one)[0].numpy() for name, one in made.items()}
        distances.append(
            [(a - b).abs().mean().item() for a, b in ((plain, mel), (noisy, mel), (noisy, plain))]
        )
        for name, sound in {"clean": wav[0].numpy(), **sounds}.items():
            soundfile.write(options.out / name / f"{path.stem}.wav", sound, SAMPLE_RATE, "PCM_16")
    means = np.mean(distances, axis=0)
    print(f"{len(distances)} recordings; mean absolute difference of natural log-mels:")
    print(f"  decoded and recording {means[0]:.3f}")
    print(f"  decoded with noise and recording {means[1]:.3f}, and decoded without {means[2]:.3f}")


if __name__ == "__main__":
    main()
