"""`dacse train codec`: a `DacModel`, from clean recordings.

Two ways share one trainer. The DAC recipe: discriminators, codebooks learnt by gradient, for GPUs and large
corpora. The way of `nano`, for an afternoon of two CPU cores: no discriminators, codebooks that follow the
latents by moving averages, rates by fan-in, a recogniser as a loss (`examples/recipes/nano/codec.toml`).

    shapes, recipe   what is trained, and how: numbers only
    plan             what that takes, computed and not measured
    network          a fresh codec, a linear start, a stored one; and the folder it is written to
    warm_start       a codec that begins as a linear transform coder
    codebooks        codebooks by moving averages; how often codes are used, and what replaces unused ones
    units            a codec of a speech encoder's units, of which only the decoder learns
    trainer, run     a step; the whole
"""
