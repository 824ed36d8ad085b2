"""A recording on its way in: read once, channels chosen, resampled, encoded.

sources  files or arrays as blocks of samples
rows     channels -> the rows that the models work on
encode   rows -> units
"""
