"""What only a CUDA device runs: kernels written in Triton and decode steps captured as CUDA graphs."""
