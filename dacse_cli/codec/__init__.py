"""Samples <-> codes or latents: DAC models, Descript's package, DC-Speech-VAE.

Knows no token ids, no files of audio and no progress.
"""
