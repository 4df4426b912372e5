#!/usr/bin/env bash
# Makes the development environment from the lock: tools/venv.sh FOLDER. Says what to install when the machine lacks a part.
set -euo pipefail
venv=$1
python=${PYTHON:-python3}
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "gpudock needs Python 3.11 or newer as '$python'. Name another one: make PYTHON=python3.12 ..." >&2
    exit 2
fi
rm -rf "$venv"
"$python" -m venv "$venv" || {
    echo "This Python cannot make virtual environments. On Debian or Ubuntu: sudo apt-get install python3-venv" >&2
    exit 2
}
"$venv/bin/pip" install -qq --require-hashes -r requirements/dev.txt
"$venv/bin/pip" install -qq --no-deps --no-build-isolation --editable .
