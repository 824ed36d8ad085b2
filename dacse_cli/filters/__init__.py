"""Samples -> samples of the same length: the `Filter` family.

mask           the mask network (`dacse train mask`, the default of `nano`)
deepfilternet  DeepFilterNet3, by its C library
voice_gains    band gains guided by a generated voice (`--method filter`);  wiener: its noise estimate
"""
