"""Recordings as training material: their headers, parts of them, and their split into sets.

    level        samples and their power
    recordings   headers of files; any part of a recording as mono samples at one rate
    decoded      recordings decoded once into one memory-mapped file, for fast random access
    segments     which parts of a recording become pairs: integers only
    crops        short pieces at random positions and levels, by number
    passages     speech of any length: recordings one after another, with pauses
    noises       noise of any length from recordings
    splits       training, validation, test: by a hash of the speaker's name
    material     all recordings of a training, divided, each part with what reads it
    folders      a folder of noisy/clean pairs;  manifest: the record that `dacse mix` keeps of one

Both readers, `recordings.FromFiles` and `decoded.Decoded`, have the same members, so whatever draws
parts works with either. All randomness comes from an argument (`rng`) or a number (`runs.chance`). A new
recipe uses what it needs from here and wraps it in `runs.ahead.Ahead`, which reads and mixes in threads or
processes while the device computes. Imports no torch; independent of mixing (`training.mix`) and of networks.
"""
