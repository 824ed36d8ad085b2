"""Commands that run over many inputs, one module each: `enhance`, `watch`, `tokenize`, `detokenize`.

launch      one batch run and its display
outputs     which path is the output;  pipes: `-` as input or output
reporting   a finished run or trial -> its report
"""
