"""What an output folder remembers: journal, outcomes, chunk cache. Imports no torch.

journal      which output was made from what;  records: its lines;  no_journal: where none is kept
beside       the same for single files, in dacse's cache;  standing: the states of an output
ledger       the outcome of every job of a run
claims       which input an output belongs to
place        outputs in a folder;  store_place: in an object store
chunk_cache  where generated chunks are kept, for a stopped run and for other settings
status       all journals of a place, summed up, and what stopped runs have left
speed        how fast earlier runs were
"""
