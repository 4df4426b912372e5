"""An environment in one file: image, recipe and lock, in pieces with checksums."""
