"""Commands that run over many inputs, one module each: `enhance`, `watch`, `tokenize`, `detokenize`.

launch      one batch run and its display
outputs     which path is the output;  pipes: `-`
reporting   a finished run, or a trial -> its report
"""
