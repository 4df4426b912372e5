"""NVIDIA GPUs in containers: any image, any driver layout, any engine."""

__version__ = "0.1.0"
