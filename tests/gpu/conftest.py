"""The parts of a GPU day call the benchmarks, which lie beside this folder."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))
