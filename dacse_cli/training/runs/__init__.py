"""What every training run shares, whatever it trains.

    settings   a recipe (TOML) and overrides -> frozen dataclasses, unknown keys refused
    recipe     what every recipe says: where the network comes from, seed, cadence
    stages     names and lengths of its parts
    start      from a request to the loop: the frame of every training
    folder     the folder of a run: who holds it, what it is, its last state, its log
    machine    one device, or the processes `accelerate` has started
    loop       steps, stages, checkpoints, logs: one loop for all networks
    logbook    the curve as CSV, and for TensorBoard where that is installed
    chance     seeds from numbers: what is drawn at a step follows from the step alone

A step of training is decided by the settings and its number. Nothing is carried from step to step but weights
and the optimizer, so a run that was killed goes on as if it had not been.
"""
