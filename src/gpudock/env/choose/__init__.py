"""Which CUDA, framework and Python fit a machine: decided from tables, before anything is fetched."""
