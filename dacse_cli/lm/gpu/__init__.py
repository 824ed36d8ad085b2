"""Code for CUDA devices only: kernels written in Triton and decode steps captured as CUDA graphs.

split, split_kernel          attention of a decode step
pointwise, pointwise_kernel  everything between the matrix products
varlen    attention by torch, where Triton cannot run
trial     whether the kernels work on this device, tried when a model is loaded
graphs    decode steps without the host;  capture: as CUDA graphs;  state: the tensors they use
"""
