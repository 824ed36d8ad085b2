#!/usr/bin/env bash
# Everything that has to be known of a GPU, in ten minutes, without a network: day.py says what and how.
#
#   tests/gpu/day.sh                        on the GPU's machine; results in day.json and day.md
#   tests/gpu/day.sh --device cpu --tiny    a rehearsal: shows that every part runs
#
# PYTHON names the interpreter that has torch. Packages it lacks may lie beside as wheels:
# (for another Python than this one: --python-version 3.12 --platform manylinux_2_28_x86_64 and so on)
#   pip download --only-binary :all: --no-deps -d .wheels annotated-doc cffi click hypothesis iniconfig \
#       markdown-it-py mdurl packaging pluggy pycparser pygments pystoi pytest rich scipy shellingham \
#       sortedcontainers soundfile soxr typer
set -euo pipefail
cd "$(dirname "$0")/../.."
exec "${PYTHON:-python3}" tests/gpu/day.py "$@"
