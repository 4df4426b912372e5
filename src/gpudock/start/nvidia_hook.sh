#!/bin/sh
# docker's --gpus looks for a program of this name on dockerd's PATH, and makes it a hook of the container. The runtime
# `gpudock` takes that hook out again and does the work itself; whoever comes here was started by another runtime.
echo 'gpudock: --gpus needs the runtime gpudock here: docker run --runtime gpudock --gpus ..., or for all containers: sudo gpudock configure docker --default' >&2
exit 1
