"""`dacse train lm`: a `LlamaForCausalLM` that writes clean codes after noisy ones, from pairs.

sizes, recipe   what is trained, and how: numbers only
plan            its cost, computed and not measured
pairs           the data: batches of codes for each stage
batch           codes -> what the model reads
pasts           the past codes given as input, and the targets after wrong ones
network         a fresh model or a stored one;  embeddings, copy_start: what a fresh one begins with
objective       the loss
trainer, run    a step; the whole
"""
