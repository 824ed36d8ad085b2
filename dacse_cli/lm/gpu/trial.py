"""Whether the Triton kernels run on this device and compute what torch does: tried when a model is loaded.

A kernel can fail in many ways that only a run shows: no Triton, no C compiler, no folder to compile in, a
number format the device lacks, a compiler's error.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from dacse_cli.lm.attention.cache import LEVELS, Cache
from dacse_cli.lm.attention.prefix import BackendUnavailableError, split_heads
from dacse_cli.lm.gpu.pointwise import TritonPointwise
from dacse_cli.lm.gpu.split import SplitAttention
from dacse_cli.lm.linear import PlainLinear
from dacse_cli.lm.model import Llama, PlainPointwise, rotate_

SLOTS = 160
"""Slots of the cache that the kernels are tried on."""


def load_split_attention(network: Llama, stored: torch.dtype) -> SplitAttention:
    """The kernels for this network, if they run here. Raises `BackendUnavailableError`."""
    if network.device.type != "cuda":
        raise BackendUnavailableError("needs a CUDA device")
    processors = torch.cuda.get_device_properties(network.device).multi_processor_count
    return checked(network, stored, processors)


def checked(network: Llama, stored: torch.dtype, processors: int) -> SplitAttention:
    """`SplitAttention` whose results were compared with torch's. Raises `BackendUnavailableError`."""
    dim = network.shape.head_dim
    if dim & (dim - 1) or dim < 16:
        raise BackendUnavailableError(f"head dimension {dim} is not a power of two from 16 on")
    try:
        attention = SplitAttention(network, stored, processors)
        off = max(
            _attention_error(attention, network, stored), _pointwise_error(attention.pointwise, network)
        )
    except Exception as error:  # torch's own attention always runs
        raise BackendUnavailableError(f"{type(error).__name__}: {error}".splitlines()[0]) from error
    exact = network.dtype is torch.float32
    allowed = 0.3 if stored in LEVELS else 1e-4 if exact else 5e-2
    if not off < allowed:  # so that NaN is refused
        raise BackendUnavailableError(f"its result is off by {off:.2g}")
    return attention


def _attention_error(attention: SplitAttention, network: Llama, stored: torch.dtype) -> float:
    """Largest difference from torch's attention for two rows, one of which has only the new token."""
    shape, device, rng = network.shape, network.device, torch.Generator().manual_seed(0)
    positions = (0, min(SLOTS - 10, shape.max_positions - 1))
    past = torch.randn(2, SLOTS, 2, shape.kv_heads, shape.head_dim, generator=rng).to(device)
    heads = torch.randn(2, shape.qkv_heads, shape.head_dim, generator=rng).to(device, network.dtype)
    size = (1, 2, 2, shape.kv_heads, SLOTS, shape.head_dim)
    scales = torch.ones(size[:-1], device=device) if stored in LEVELS else None
    store = Cache(torch.zeros(size, device=device).to(stored), scales)
    store.fill(0, past.to(network.dtype))
    bound = attention.bind(store, torch.tensor(positions, device=device))
    got = bound(0, heads).float().view(2, shape.heads, -1)
    errors = []
    for row, position in enumerate(positions):
        want = _attended(heads[row].float(), past[row, :position], network.rotations[position])
        errors.append((got[row] - want).abs().max())
    return float(torch.stack(errors).max())


def _attended(heads: Tensor, past: Tensor, turn: Tensor) -> Tensor:
    """Reference attention of one row: heads `[Hq + 2 * H, D]`, past `[L, 2, H, D]` -> `[Hq, D]`."""
    heads, H = heads.clone(), past.shape[2]
    rotate_(heads[:-H], turn)
    q, new = split_heads(heads, H)
    keys, values = torch.cat([past, new.unsqueeze(0)]).permute(1, 2, 0, 3).unbind(0)
    out = F.scaled_dot_product_attention(q.view(H, -1, q.shape[-1]), keys, values)
    return out.reshape(q.shape)


def _pointwise_error(ours: TritonPointwise, network: Llama) -> float:
    """Largest difference from torch's operations, for numbers of about 1."""
    size, inner = network.shape.hidden, network.shape.intermediate
    device, dtype, rng = network.device, network.dtype, torch.Generator().manual_seed(1)
    x, weight = torch.randn(2, 2, size, generator=rng).to(device)
    y, gate_up = (torch.randn(2, n, generator=rng).to(device, dtype) for n in (16, 2 * inner))
    linear = PlainLinear(torch.randn(size, 16, generator=rng).to(device, dtype).div_(4), None)
    plain, errors = PlainPointwise(ours.eps), []
    for got, want in (
        (ours.norm(x, weight[0], dtype), plain.norm(x, weight[0], dtype)),
        (ours.gated(gate_up), plain.gated(gate_up)),
        (
            ours.add_norm(linear, x.clone(), y, weight[0], dtype)[1],
            plain.add_norm(linear, x.clone(), y, weight[0], dtype)[1],
        ),
    ):
        errors.append(((got.float() - want.float()) / (1 + want.float().abs())).abs().max())
    return float(torch.stack(errors).max())
