"""A model of the Hub -> the cache: only listed files, each with its checksum.

client      HTTP requests with bounded waiting
transfer    one file
model       all files of a model
published   which published pickles dacse converts
"""
