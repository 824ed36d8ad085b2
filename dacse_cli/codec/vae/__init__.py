"""DC-Speech-VAE: speech as a few continuous latents per second (KdaiP/DC-Speech-VAE), and its vocoders."""
