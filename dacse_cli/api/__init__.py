"""The library: models in memory, arrays or files through them; `doctor` and `inspect` for one call each.

enhancer    `Enhancer`: models held in memory
enhanced    `Enhanced`: what its calls return
arguments   the keyword arguments that its calls share
finding     options -> the models that they name
sources     a path or an array -> a checked recording
rendering   another strength, loudness or format of a finished result, without running a model
writing     files that are written completely or not at all
trial       a few seconds of a recording in every strength
doctor, inspect   the calls under the commands of these names
ray_data    a class for `map_batches` of Ray Data
"""
