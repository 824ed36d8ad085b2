"""Training: noisy speech from clean speech, codecs, language models, and the folders that `enhance` takes.

    runs/      settings, folders, checkpoints, processes and the loop of every training
    sound/     recordings, crops, noises, splits, folders of pairs
    mix/       ways to make clean speech noisy                    `dacse mix`
    losses/    what networks minimise
    steps/     one update of the weights: towards targets, or against discriminators
    codec/     clean recordings -> a codec                        `dacse train codec`
    mask/      clean speech and noise -> a filter                 `dacse train mask`
    vae/       clean speech -> a speech VAE                       `dacse train vae`
    lm/        pairs -> a language model                          `dacse train lm`
    set/       pairs -> SET or one of its baselines               `dacse train set`
    export     trained networks as model folders

Imports point up this list: codec, mask, vae, lm and set use packages above them, and set uses the pairs of
lm; steps use losses and runs, mix uses sound, sound uses runs. A new network gets its own package with a
recipe, a network and a run; the docstrings of `runs`, `sound` and `steps` say what it can use of the others.
Depends on no enhancement code and no commands.
"""
