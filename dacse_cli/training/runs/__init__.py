"""The common parts of all training runs.

    settings   a recipe (TOML) and overrides -> frozen dataclasses; unknown keys are refused
    recipe     common to all recipes: origin of the network, seed, cadence
    stages     names and lengths of the parts of a run
    pace       the learning rate at a step or at a time
    start      from a request to the loop, for every training
    folder     the folder of a run: lock, settings that may not change, last checkpoint, best models
    state      the format of a checkpoint on disk, safetensors
    machine    one device, or the processes that `torchrun` has started
    loop       steps, stages, validation, log, what a checkpoint holds and how a run resumes from it
    logbook    the curve as CSV, and for TensorBoard where that is installed
    ahead      results by number, computed ahead of their use in threads or processes
    chance     seeds from numbers: random values of a step depend on the step alone

A step is determined by the settings and its number. The only state between steps is weights, optimizer state
and the trainer's part of the checkpoint, so a run that was killed continues as if it had not been
interrupted.

A new recipe needs three things: a recipe class (`recipe.RunRecipe`), a `loop.Trainer`, and one function that
builds a `start.Prepared` and passes it to `start.carry_out`. Nothing here depends on a network, on audio or
on a command.
"""
