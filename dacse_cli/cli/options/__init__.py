"""Options that several commands share, each once, and groups of them as frozen dataclasses.

    grouped    a command whose parameters are groups -> the flat function that Typer reads
    networks   models, device, chunks;  sound: what comes out;  run: inputs, outputs, what is shown
    training   what the trainings share
    words      values that are a number or a word

A group knows how its flags become the library's options. Imports nothing heavy.
"""
