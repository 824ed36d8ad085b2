"""Containers as bytes: the kind of a file, the position of its audio data, and its length.

    kinds    file -> kind, and which library reads it
    headers  RIFF, W64, AIFF, AU, CAF: rate, channels, promised length
    mpeg     MP3 and its relatives, frame by frame
    ogg      Ogg pages
    flac     FLAC frames
    layout   file -> the recordings in it, one after the other
    view     parts of a file as one stream

Decodes nothing: decoders trust the lengths in headers, and drop data behind them without an error. Here the
lengths are compared with the content.
"""
