"""`dacse train codec`: a `DacModel` by the DAC recipe, from clean recordings.

For GPUs and large corpora. What two CPU cores can train in an afternoon is another way: `training.codec`.

shapes, recipe     what is trained, and how: numbers only
plan               what that takes, on paper
crops              recordings -> short crops at one level, by number
discriminators     networks that tell reconstructions from recordings
losses             what both sides minimise
usage              which codes are used; dead ones are put where latents are
network            a fresh codec, a warm start, one that is there; and its folder
trainer, run       a step; the whole
"""
