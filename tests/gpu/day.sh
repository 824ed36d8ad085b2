#!/usr/bin/env bash
# Everything that has to be known of a GPU, in ten minutes, without a network: day.py says what and how.
#
#   tests/gpu/day.sh                        on the GPU's machine; results in day.json and day.md
#   tests/gpu/day.sh --device cpu --tiny    a rehearsal: shows that every part runs
#
# PYTHON names the interpreter that has torch. Packages it lacks may lie beside as wheels:
#   pip download --only-binary :all: --no-deps -d .wheels soundfile cffi pycparser soxr scipy pytest pluggy \
#       iniconfig hypothesis sortedcontainers pystoi
set -euo pipefail
cd "$(dirname "$0")/../.."
exec "${PYTHON:-python3}" tests/gpu/day.py "$@"
