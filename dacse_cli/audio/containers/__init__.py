"""Containers as bytes: which kind a file is, where its sound lies, how much of it there is.

    kinds    file -> kind, and which library reads it
    headers  RIFF, W64, AIFF, AU, CAF: rate, channels, promised length
    mpeg     MP3 and its relatives, frame by frame
    ogg      Ogg pages
    flac     FLAC frames
    layout   file -> the recordings that lie in it, one behind the other
    view     parts of a file as one stream

Decodes nothing and knows no decoder: decoders believe the lengths they find in headers, and what lies behind
is lost in silence. Here the lengths are compared with what is there.
"""
