"""Facts that need an engine: running containers, volumes, images. Looks only, and trusts nothing that it sees."""
