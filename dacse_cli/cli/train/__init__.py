"""`dacse train`: a group of commands, one module each.

group   the group, with all commands
plan    memory and time of a training, computed
lm, set, mask, codec, vae   one training each
"""
