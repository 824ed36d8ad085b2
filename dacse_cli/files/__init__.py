"""Everything that is read from the disk and written to it.

    places     folders of the user: cache, configuration
    regular    which files may be opened
    documents  JSON, TOML and numbers from outside, bounded
    names      text from outside, made safe to show
    foreign    files that are something else than their names say
    digest     checksums
    problems   errors of the operating system, in words
    atomic     files that are written whole or not at all
    locks      locks on open files

Knows no audio, no models and no terminal. Standard library only.
"""
