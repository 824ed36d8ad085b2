"""File <-> samples. Knows containers, disks and sample rates; knows no codec, no tokens, no job names."""
