"""Compile the Triton kernels for GPUs that need not be there; one JSON line per kernel.

    python tests/lm/compile_kernels.py --arch 90 --dtype bf16 --stored bf16 fp8e4nv

Triton's interpreter runs what its compiler refuses, and says nothing of speed. Printed per kernel: registers
and spilled bytes per thread, bytes of shared memory, loads of 16 bytes (from global memory, or by
asynchronous copies to shared memory), and conversions of layout within the loop over slots, each a round
through shared memory.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from dacse_cli.lm.gpu import pointwise_kernel, split_kernel
from dacse_cli.lm.gpu.split import STAGES, WARPS, block_slots

TOOLS = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
BYTES = {"fp32": 4, "bf16": 2, "fp16": 2, "fp8e4nv": 1}


def compiled(kernel: Any, types: dict[str, str], constants: dict[str, Any], arch: int, warps: int) -> Any:
    """A kernel whose pointers and sizes are multiples of 16, as torch's are."""
    names = kernel.arg_names
    signature = {name: types.get(name, "constexpr") for name in names}
    aligned = {
        (names.index(name),): [["tt.divisibility", 16]]
        for name, kind in types.items()
        if kind[0] == "*" or kind == "i32"
    }
    source = ASTSource(fn=kernel, signature=signature, constexprs=constants, attrs=aligned)
    options = {"num_warps": warps, "enable_fp_fusion": True}
    return triton.compile(source, target=GPUTarget("cuda", arch, 32), options=options)


def attend(dtype: str, stored: str, heads: tuple[int, int], dim: int, arch: int) -> Any:
    """The attention kernel as `split.py` launches it."""
    pointers = {"heads": dtype, "keys": stored, "values": stored}
    pointers |= dict.fromkeys(("rotations", "parts", "tops", "sums"), "fp32")
    # without a one-byte cache, the cache itself stands in for the scales, which are not read
    pointers |= dict.fromkeys(("key_scales", "value_scales"), "fp32" if stored == "fp8e4nv" else stored)
    types = {name: f"*{kind}" for name, kind in pointers.items()}
    types |= {"positions": "*i64", "slots": "i32", "scale": "fp32"}
    constants = {
        "HQ": heads[0],
        "H": heads[1],
        "D": dim,
        "BLOCK": block_slots(dim, BYTES[stored]),
        "SPLITS": 8,
        "STAGES": STAGES,
        "ROUNDED": stored == "fp8e4nv",
    }
    return compiled(split_kernel.attend, types, constants, arch, WARPS)


def others(dtype: str, arch: int) -> dict[str, Any]:
    """The remaining kernels, for the 1B network."""
    parts = {"parts": "*fp32", "tops": "*fp32", "sums": "*fp32", "out": f"*{dtype}"}
    norm = {
        "x": "*fp32",
        "y": f"*{dtype}",
        "weight": "*fp32",
        "out": f"*{dtype}",
        "size": "i32",
        "eps": "fp32",
    }
    gate = {"gate_up": f"*{dtype}", "out": f"*{dtype}", "size": "i32"}
    return {
        "merge": compiled(split_kernel.merge, parts, {"D": 64, "SPLITS": 32}, arch, 1),
        "add_norm": compiled(pointwise_kernel.add_norm, norm, {"SIZE": 2048, "ADD": True}, arch, 4),
        "gated": compiled(pointwise_kernel.gated, gate, {"BLOCK": 1024}, arch, 4),
    }


def report(name: str, kernel: Any, **facts: Any) -> None:
    """One line of JSON."""
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(kernel.asm["cubin"])
        file.flush()
        usage, sass = (
            subprocess.run([TOOLS / "cuobjdump", flag, file.name], capture_output=True, text=True).stdout
            for flag in ("-res-usage", "-sass")
        )
    found = re.search(r"REG:(\d+) STACK:(\d+)", usage)
    text = kernel.asm["ttgir"]
    loop = text[text.find("scf.for") : text.find("scf.yield")] if "scf.for" in text else ""
    facts |= {
        "kernel": name,
        "registers": int(found[1]) if found else None,
        "spilled": int(found[2]) if found else None,
        "shared": kernel.metadata.shared,
        "wide_loads": len(re.findall(r"LDG\.E(?:\.\w+)*\.128|LDGSTS\.E(?:\.\w+)*\.128", sass)),
        "conversions_in_loop": loop.count("convert_layout"),
    }
    print(json.dumps(facts), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--arch", type=int, nargs="+", default=[90], help="compute capability times 10")
    parser.add_argument("--dtype", nargs="+", default=["bf16"])
    parser.add_argument("--stored", nargs="+", default=["bf16", "fp8e4nv"])
    parser.add_argument("--dim", type=int, nargs="+", default=[64])
    parser.add_argument("--all", action="store_true", help="the small kernels as well")
    options = parser.parse_args()
    for arch in options.arch:
        for dtype in options.dtype:
            for stored in options.stored:
                for dim in options.dim:
                    facts = {"arch": arch, "dtype": dtype, "stored": stored, "dim": dim}
                    report("attend", attend(dtype, stored, (24, 24), dim, arch), **facts)
            for name, kernel in others(dtype, arch).items() if options.all else ():
                report(name, kernel, arch=arch, dtype=dtype)


if __name__ == "__main__":
    main()
