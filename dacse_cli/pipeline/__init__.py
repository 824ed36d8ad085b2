"""Batch work: requests, the journal of an output folder, processes, chunks through the models.

    wire      messages between processes, and how an input can end
    request   a command as asked for -> the files it means and the models it needs
    guard     whether an output chunk holds the speech of its input
    record    finished outputs: journal, outcomes, chunk cache
    task      one file's way through the models, chunk by chunk
    engine    batches of chunks from all open tasks
    children  the modules that run as processes of their own
    run       one command from request to summary

A package imports only packages above it in this list.
"""
