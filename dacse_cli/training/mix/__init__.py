"""`dacse mix`: noisy speech from clean speech, every drawn number on record.

signals            samples in, worse samples out, by an `rng`: pure functions
recipes, tasks     what is drawn for them, and in which shares
noises, rooms, lossy   where noise, reverberation and coding artefacts come from
sources            recordings and parts of them;  segments, splits: which parts, and for which set
pairs              row n of a data set, whoever asks
plan, run          a whole data set, in several processes;  manifest: its record
"""
