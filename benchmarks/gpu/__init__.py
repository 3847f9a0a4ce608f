"""What `benchmarks/gpu_lab.sh` runs on a machine with a GPU: kernels, peers, times, one table."""
