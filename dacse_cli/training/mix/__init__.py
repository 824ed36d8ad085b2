"""`dacse mix`: noisy speech from clean speech; every drawn number is recorded.

    signals         degradations as pure functions of samples and an `rng`
    recipes, tasks  what is drawn for them, and in which shares
    rooms, lossy    reverberation and coding artefacts
    disturbances    several degradations at once, for training a filter
    pairs           row n of a data set;  live: rows mixed during a training
    plan, run       a whole data set, in several processes

Recordings, noises, splits and the manifest are in `training.sound`.
"""
