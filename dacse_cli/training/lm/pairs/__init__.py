"""Pairs of noisy and clean speech -> batches of codes, for the trainings of `lm` and `set`.

start    the request of a training on pairs, its codec and its data
recipe   settings of data and stages for any network
data     the pairs of a run, as batches for each stage
source   rows -> codes, cached or mixed on the fly
order    which row comes when: integers only
shards   codes on disk, memory-mapped;  encode: fills them
trainer  steps, validation and checkpoint of a network on such batches
"""
