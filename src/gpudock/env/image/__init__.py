"""From recipe to image: resolve into a lock, write a Dockerfile, build it."""
