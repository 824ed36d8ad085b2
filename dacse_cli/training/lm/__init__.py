"""`dacse train lm`: a `LlamaForCausalLM` that writes clean codes after noisy ones, from pairs.

sizes, recipe    what is trained, and how: numbers only
plan             what that takes, on paper
folders          a folder -> pairs to train on and pairs held out
shards           codes on disk, memory-mapped; encode fills them
order            which row comes when: integers only
source           rows -> codes, cached or mixed anew
batch            codes -> what the model reads; corruption of its past
free             answers without the right past
network          a fresh model, or one that is there; embeddings, copy_start: what a fresh one begins with
residual_targets what to write after a past that is not right
trainer, run     a step; the whole
"""
