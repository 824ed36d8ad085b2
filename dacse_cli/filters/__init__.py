"""Samples to samples of the same length: the `Filter` family. One sub-room or module per kind of filter."""
