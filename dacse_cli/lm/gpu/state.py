"""The tensors that captured steps read and write: at fixed addresses, with one row per row of the batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from dacse_cli.lm.attention.cache import Cache
from dacse_cli.lm.decoding.choice import Choice
from dacse_cli.lm.model import Llama
from dacse_cli.lm.sampling import RowNoise


class DeviceState:
    """The state of a batch over one layout of the cache, `store`."""

    def __init__(self, network: Llama, store: Cache, choices: Sequence[Choice]) -> None:
        self.store, self.choices = store, tuple(choices)
        self.rows, self.slots = store.values.shape[2], store.values.shape[4]
        rows, device, whole = self.rows, network.device, torch.int64
        self.last = torch.zeros(rows, dtype=whole, device=device)
        """The last token of every row, counted from its choice's `lo`."""
        self.positions = torch.zeros(rows, dtype=whole, device=device)
        """The slot of that token; 0 once a row has written all its tokens."""
        self.left = torch.zeros(rows, dtype=whole, device=device)
        """Tokens each row still has to write."""
        self.step = torch.zeros(1, dtype=whole, device=device)
        # a capture and the last cycle write beyond the longest row
        steps = self.slots + 3 * len(choices)
        self.written = torch.zeros(steps, rows, dtype=whole, device=device)
        self.health = torch.zeros(rows, device=device)
        """NaN or infinite for a row if an output of the network was."""
        widest = max(choice.size for choice in choices)
        self.noise = torch.zeros(len(choices), rows, widest, device=device)
        """Noise that is added to the logits of each choice."""
        self._noisy = False
        self.replays: dict[int, Callable[[], None]] = {}

    def begin(self, prompts: Sequence[int], news: Sequence[int]) -> None:
        """Set the state before the first cycle of a batch with these numbers of prompt and new tokens."""
        count = len(prompts)
        self.left.zero_()
        self.left[:count] = torch.tensor(news) - 1
        self.positions.zero_()
        self.positions[:count] = torch.tensor(prompts)
        self.positions.mul_(self.left > 0)
        self.step.fill_(1)
        self.health.zero_()
        if self._noisy:
            self.noise.zero_()
            self._noisy = False

    def record_first(self, h: Tensor, noise: RowNoise | None) -> None:
        """Pick the first token of every row from the network's output h `[rows, hidden]`."""
        rows, choice = len(h), self.choices[0]
        choice.pick(h, self.last[:rows], None if noise is None else noise.next(rows, choice.size))
        self.written[0] = self.last
        self.health[:rows] = h.sum(-1)

    def draw(self, noise: RowNoise, rows: int) -> None:
        """Noise for the next cycle of the first `rows` rows."""
        self._noisy = True
        for n in range(1, len(self.choices) + 1):
            at = n % len(self.choices)
            size = self.choices[at].size
            self.noise[at, :rows, :size] = noise.next(rows, size)

    def record(self, h: Tensor, at: int, rows: int) -> None:
        """Pick a token of choice `at` for each of the first `rows` rows, and move on; on the device alone."""
        choice, last, left = self.choices[at], self.last[:rows], self.left[:rows]
        choice.pick(h, last, self.noise[at, :rows, : choice.size])
        self.written[:, :rows].index_copy_(0, self.step, last.unsqueeze(0))
        self.step.add_(1)
        self.health[:rows].add_(torch.where(left > 0, h.sum(-1), 0.0))
        left.sub_(1)
        self.positions[:rows].add_(1).mul_(left > 0)
