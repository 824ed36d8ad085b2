"""`dacse train set`: a SET network, or one of its baselines, that writes clean units after noisy ones.

sizes        networks by name, and configs from files
recipe       how one is trained: numbers only
plan         what that takes, computed and not measured
batch        pairs of units -> tensors
objective    losses of a batch, for codes and for latents
pasts        the past codes that a predictor is trained on: clean ones, replaced ones, its own predictions
start        what a fresh network starts from
trainer      steps, validation, checkpoint
run          the whole: recipe and folders in, model folders out
folders      the model folder, and a codec of fewer codebooks
"""
