"""The mask filter: a small convolutional network that predicts a spectral mask.

config    sizes of the network as `config.json` holds them, bounded
bands     how frequency bins are grouped
network   features -> masks (torch)
analysis  samples -> spectra -> features, at any sample rate
stream    one recording, piece by piece, in constant memory
load      a folder -> a filter that is ready
"""
