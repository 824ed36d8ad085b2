"""Containers as bytes: which kind a file is, where its sound lies, how much of it there is.

    kinds    file -> kind, and which library reads it
    headers  RIFF, W64, AIFF, AU, CAF: rate, channels, promised length
    mpeg     MP3 and its relatives, frame by frame
    ogg      Ogg pages
    flac     FLAC frames
    layout   file -> the recordings in it, one after the other
    view     parts of a file as one stream

Decodes nothing and knows no decoder: decoders trust the lengths in headers, and drop what follows without
an error. Here the lengths are compared with the content.
"""
