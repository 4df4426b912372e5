"""Environments: a recipe in a folder, locked, built into an image, and run."""
