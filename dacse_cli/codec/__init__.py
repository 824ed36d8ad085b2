"""Samples <-> codes: the only room that knows `transformers.DacModel` and Descript's package.

Knows no token ids, no files of audio and no progress.
"""
