"""Training: noisy speech from clean speech, a codec, a language model, and the folder that `enhance` takes.

    draw      clean crops and noises from memory-mapped corpora      corpus
    corrupt   one clean signal -> a noisy one, by measured recipes   mixing, recipes
    codec     linear warm start, losses, quantizer, loop             warm_start, losses, quantizer, codec
    lm        embeddings from codebooks, sequences, loop             embeddings, sequences, lm
    write     folders in the released formats                        export

Knows nothing of enhancing, of commands and of files other than its corpora and checkpoints.
"""
