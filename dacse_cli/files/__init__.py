"""What crosses the border between this program and the disk.

    places     folders of the user's
    regular    which files may be opened
    documents  JSON, TOML and numbers from outside, bounded
    names      text from outside, made safe to show
    foreign    files that are something else than their name says
    digest     checksums
    problems   errors of the operating system, in words
    atomic     files that are written whole or not at all

Knows no audio, no models and no terminal. Standard library only.
"""
