"""Training of a speech VAE (DC-Speech-VAE): its recipe, network, trainer, and the run as one call."""
