"""Commands that neither run over many inputs nor train, one module each.

try_out    three strengths to compare by ear;  serve: a page and an HTTP API
inspect    what a file holds;  status: what an output folder holds
evaluate   scores of enhanced speech
models     a list of models;  download: fetches one
mix        pairs for training
doctor     what this installation can do
"""
