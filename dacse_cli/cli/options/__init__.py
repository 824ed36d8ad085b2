"""Options that several commands share, each defined once, and groups of them as frozen dataclasses.

    grouped    a command whose parameters are groups -> the flat function that Typer reads
    networks   models, device, chunks;  sound: the output's sound;  run: inputs, outputs, messages
    training   options that the trainings share
    words      values that are a number or a word

Each group converts its flags to the library's options. Imports no slow packages.
"""
