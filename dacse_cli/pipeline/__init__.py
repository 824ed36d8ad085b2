"""Batch work: requests, the record of an output folder, processes, chunks through the models.

    wire      what processes say to each other, and how an input can end
    request   a command as asked for -> the files it means and the networks it needs
    guard     whether a chunk says what its input says
    record    what is finished: journal, outcomes, chunk cache
    task      one file's way through the models, chunk by chunk
    engine    batches of chunks from all open tasks
    children  what runs in processes of its own
    run       one command from request to summary

A room imports only rooms above it in this list.
"""
