"""The mask filter: a small convolutional network that predicts a spectral mask.

config    sizes of the network as `config.json` holds them, bounded
network   features -> masks
analysis  samples -> spectra -> features, at any sample rate
apply     masks over spectra
stream    one recording, piece by piece, in constant memory
load      a folder -> a loaded filter
"""
