"""A command as asked for -> the files it means, and the models it needs. Opens no audio, loads no model.

request      the command, checked
inputs       names -> files;  listing: objects of a store
naming       what an output is called;  collisions: outputs that would overwrite something
jobs         one input and its output;  plan: all of them;  shards: part I of N
find_models  the models, found on this disk
settings     what outputs depend on, as a hash
scans        which recordings can be used;  sizes: how many bytes an output takes
"""
