"""A machine with NVIDIA GPUs that are not there: driver root, device nodes, and what /proc and /sys say.

description.make(...) or description.decode(JSON) says which; build.build(...) makes it in a folder.
"""
