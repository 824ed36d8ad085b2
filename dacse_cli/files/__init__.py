"""Everything that is read from the disk and written to it.

    places     folders of the user: cache, configuration
    regular    which files may be opened
    documents  JSON, TOML and numbers from outside, bounded
    names      text from outside, made safe to show
    foreign    files whose content does not match their names
    digest     checksums
    problems   errors of the operating system, in words
    atomic     files that are written whole or not at all
    locks      locks on open files

Independent of audio, models and the terminal. Standard library only.
"""
