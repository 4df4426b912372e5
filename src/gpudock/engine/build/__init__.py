"""`gpudock build`: the engine's own build, with GPUs in RUN steps and no driver in the image."""
