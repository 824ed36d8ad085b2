"""Files of weights, read without trusting them: names and shapes first, from the header; then the numbers.

Safetensors, and pickles of the few publishers who have nothing else; no pickle is ever executed. Knows
tensors and files, no networks: what must be in a file is told by the caller, and so is the error to raise.
"""
