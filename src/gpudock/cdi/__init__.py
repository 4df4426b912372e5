"""Container Device Interface: what engines apply when they are asked for nvidia.com/gpu=0."""
