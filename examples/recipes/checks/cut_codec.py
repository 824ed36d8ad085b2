"""Write a codec with its first codebooks alone; codes of these stay the same.

python cut_codec.py CODEC OUT 4
"""

from __future__ import annotations

import argparse
from pathlib import Path

from dacse_cli.training.set.folders import write_smaller_codec


def main() -> None:
    """Parse and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("codec", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("codebooks", type=int)
    given = parser.parse_args()
    given.out.mkdir(parents=True)
    write_smaller_codec(given.codec, given.out, given.codebooks)


if __name__ == "__main__":
    main()
