"""`dacse train set`: a SET network, or one of its baselines, that writes clean units after noisy ones.

sizes        networks by name, and configs from files
recipe       how one is trained: numbers only
plan         what that takes, on paper
batch        pairs of units -> tensors
objective    losses of a batch, for codes and for latents
pasts        the clean codes a predictor is shown: the right ones, replaced ones, the network's own
start        what a fresh network starts from
trainer      steps, validation, checkpoint
run          the whole: recipe and folders in, model folders out
folders      the model folder, and a codec of fewer codebooks
"""
