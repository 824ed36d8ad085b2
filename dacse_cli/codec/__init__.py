"""Samples <-> codes or latents, in windows whose results equal those of the whole recording.

    dac, vae, units, descript   DAC networks, DC-Speech-VAE, units of a speech encoder, Descript's files
    loading    a model's files -> the codec
    windowed   what all codecs share: whole recordings in windows;  windows: which frames are in which
    stream     a recording piece by piece, in constant memory
    placed     the network of a codec on one device
    numerics, memory   float32 products on CUDA; the C allocator
    receptive  the context of a convolutional network;  mel_filters: those of mel spectra

Independent of token ids, audio files and progress.
"""
