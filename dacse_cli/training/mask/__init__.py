"""Clean speech and noise -> a mask network, the filter of `enhance --method mask`.

recipe     a run as a TOML file states it
wave       the network from samples to samples, as it is trained
guides     simulated guides: clean speech through a codec, damaged
objective  what it minimises
trainer    its loss, validation, checkpoint, folder
run        recordings and recipe in, model folders out
"""
