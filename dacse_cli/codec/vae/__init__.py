"""DC-Speech-VAE: speech as a few continuous latents per second (KdaiP/DC-Speech-VAE), and its vocoders.

shape        a `config.json` -> its sizes, checked
mel          samples -> log-mel spectrum
autoencoder  log-mel spectrum <-> latents
bigvgan      mel spectrum -> samples, the trained vocoder;  antialias: its activation
griffin_lim  the same without a trained vocoder
receptive    margins in integers
codec        samples -> latents, and back
published    the published pickles -> a folder of safetensors
"""
