"""A result on its way out: resampled, mixed, levelled, checked by a recogniser, written.

output          rows -> samples: resampled, cut to length, pauses lowered, mixed with the input (`--strength`)
second_opinion  words of input and result compared (`--second-opinion`)
levelling       brought to a loudness (`--loudness`)
sinks           a file or an array
"""
