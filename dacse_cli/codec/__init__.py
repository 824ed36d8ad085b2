"""Samples <-> codes or latents, in windows whose results equal those of the whole recording.

    dac, vae, descript   DAC networks, DC-Speech-VAE, and the files of Descript's package
    loading    a model's files -> the codec
    windowed   what all codecs share: whole recordings in windows;  windows: which frames are in which
    stream     a recording piece by piece, in constant memory
    placed     the network of a codec on one device
    numerics, memory   float32 products on CUDA; the C allocator
    receptive  the context of a convolutional network

Independent of token ids, audio files and progress.
"""
