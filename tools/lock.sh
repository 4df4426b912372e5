#!/usr/bin/env bash
# Writes requirements/*.txt from requirements/*.in: pinned, with hashes, without addresses.
set -euo pipefail
cd "$(dirname "$0")/.."
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install --quiet pip-tools
for name in run dev; do
    env -u PIP_FIND_LINKS -u PIP_EXTRA_INDEX_URL PIP_CONFIG_FILE=/dev/null "$tmp/venv/bin/pip-compile" --quiet \
        --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --strip-extras --allow-unsafe --upgrade \
        --output-file "requirements/$name.txt" "requirements/$name.in"
done
