"""`dacse train`: a group of commands, one module each.

group   all of them
plan    what a training takes, computed
lm, set, mask, codec, vae   one training each
"""
