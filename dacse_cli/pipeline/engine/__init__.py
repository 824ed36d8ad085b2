"""Chunks of all open tasks through the models, batch after batch."""
