"""Chunks of all open tasks through the models, batch after batch.

load         a plan of parts -> loaded models and a batch size
engine       the loop;  batching: which chunks make the next batch;  generate: that batch, in a thread
chunk_cache  finished chunks on disk;  resume: a task that starts from them
threads      how many CPU cores the models use
"""
