"""Ids in, ids out: a Llama decoder with its own weights, cache and greedy loop.

Knows only token ids and allowed id ranges; what an id means is the business of `tokens`.
"""
