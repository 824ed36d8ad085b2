"""`dacse train set`: a SET network, or one of its baselines, that writes clean units after noisy ones.

sizes        networks by name, and configs from files
recipe       its training settings: numbers only
plan         its cost, computed and not measured
batch        pairs of units -> tensors
objective    losses of a batch, for codes and for latents
pasts        the past codes that a predictor is trained on: clean ones, replaced ones, its own predictions
start        what a fresh network starts from;  copy_start: a network that begins by copying
trainer      steps, validation, checkpoint
run          a whole training: recipe and folders in, model folders out
folders      the model folder, and a codec of fewer codebooks
"""
