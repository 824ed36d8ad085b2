"""DAC (Kumar et al. 2023, arXiv 2306.06546).

shape      a `config.json` -> its sizes, checked
network    encoder, residual quantizer, decoder;  snake: their activation
receptive  margins and lengths in integers
codec      samples -> codes or latents, and back
"""
