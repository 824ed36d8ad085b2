"""Training of a speech VAE (DC-Speech-VAE).

recipe    a run as a TOML file states it
plan      what the autoencoder takes, computed and not measured
network   the autoencoder, and what trains it
vocoder   the same for BigVGAN
trainer   steps, validation, checkpoint, folder, of whichever part a stage trains
run       recordings and recipe in, folders out
"""
