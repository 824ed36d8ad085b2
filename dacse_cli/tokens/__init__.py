"""Codes <-> flat token ids <-> prompts, and the files that hold codes. Independent of models and devices.

layout   the vocabulary of DAC-SE1 as integer arithmetic
text     codes as the text of the published tokenizer
files    token files as values;  formats: as bytes;  header: the codec that one names;  names: file names
"""
