"""`dacse train lm`: a `LlamaForCausalLM` that writes clean codes after noisy ones, from pairs.

sizes, recipe   what is trained, and how: numbers only
plan            what that takes, computed and not measured
start           what a training on pairs is asked for, its codec and its data
data            batches for each stage
shards          codes on disk, memory-mapped;  encode: fills them
order           which row comes when: integers only
source          rows -> codes, cached or mixed on the fly
batch           codes -> what the model reads
pasts           the past it is shown, and what it should answer after a wrong one
network         a fresh model or a stored one;  embeddings, copy_start: what a fresh one begins with
objective       the loss
trainer, run    a step; the whole
"""
