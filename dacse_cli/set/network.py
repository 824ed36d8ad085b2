"""The whole network: embeddings, encoder, predictor, joiner, head.

    noisy codes  -> vectors, pooled -> conformer -> linear --+
                                                             sum -> LeakyReLU -> linear -> K softmaxes
    clean codes,
    one frame on -> vectors, pooled -> predictor -> linear --+

Without a predictor it is the non-autoregressive baseline; over latents, the codec's continuous vectors stand
in place of codes on both sides. Works on whole sequences; `scoring` computes one frame at a time.

Axes: `B` rows, `T` frames, `K` codebooks, `V` codebook size, `J` joint width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dacse_cli.set.conformer import Conformer, set_initial_weights
from dacse_cli.set.shape import PredictorShape, SetShape
from dacse_cli.weights.outline import drawn


class CodeEmbedding(nn.Module):
    """Codes of a frame -> one vector: a table per codebook, then their sum, or their mean by attention."""

    offsets: Tensor

    def __init__(self, codebooks: int, entries: int, width: int, pooling: str) -> None:
        super().__init__()
        self.table = nn.Embedding(codebooks * entries, width)
        self.codebooks, self.entries = codebooks, entries
        self.register_buffer("offsets", self._offsets(), persistent=False)
        self.hidden = self.score = None
        if pooling == "attention":
            self.hidden, self.score = nn.Linear(width, width), nn.Linear(width, 1, bias=False)

    def _offsets(self) -> Tensor:
        return torch.arange(0, self.codebooks * self.entries, self.entries)

    def set_offsets(self) -> None:
        """Compute the buffer that is not stored, after the module was created without memory."""
        self.offsets.copy_(self._offsets())

    def forward(self, codes: Tensor) -> Tensor:
        """Codes `[..., K]` -> `[..., width]`."""
        rows = codes + self.offsets
        if self.hidden is None or self.score is None:
            flat = F.embedding_bag(rows.flatten(0, -2), self.table.weight, mode="sum")
            return flat.view(*codes.shape[:-1], -1)
        vectors = self.table(rows)
        shares = self.score(F.relu(self.hidden(vectors))).softmax(dim=-2)
        pooled: Tensor = (shares * vectors).sum(dim=-2)
        return pooled


class Encoder(nn.Module):
    """Noisy units -> vectors of their frames."""

    def __init__(self, shape: SetShape) -> None:
        super().__init__()
        inputs = shape.latents or shape.embedding_width or 0
        self.embedding = None if shape.latents else _embedding(shape, shape.codes.size)
        self.conformer = Conformer(inputs, shape.encoder, shape.dropout)
        self.output = nn.Linear(shape.encoder.width, shape.joint_width) if shape.joint_width else None

    def forward(self, noisy: Tensor, frames: Tensor | None = None) -> Tensor:
        """Codes `[B, T, K]` or latents `[B, T, width]` -> `[B, T, J]`, meaningless at padding."""
        x: Tensor = self.conformer(noisy if self.embedding is None else self.embedding(noisy), frames)
        if self.output is not None:
            x = self.output(x)
        return x


class Predictor(nn.Module):
    """Clean codes of earlier frames -> a vector for the next. Code `V` marks the beginning."""

    def __init__(self, shape: SetShape, own: PredictorShape) -> None:
        super().__init__()
        self.embedding = _embedding(shape, shape.codes.size + 1)
        self.conformer = self.lstm = None
        width = shape.embedding_width or 0
        if own.kind == "conformer":
            self.conformer = Conformer(width, own.conformer, shape.dropout)
        else:
            between = shape.dropout if own.layers > 1 else 0.0
            self.lstm = nn.LSTM(width, own.width, own.layers, batch_first=True, dropout=between)
        self.output = nn.Linear(own.width, shape.joint_width or 0)

    def forward(self, past: Tensor) -> Tensor:
        """Codes `[B, T, K]`, at each frame those of the frame before -> `[B, T, J]`."""
        x = self.embedding(past)
        if self.conformer is not None:
            x = self.conformer(x)
        elif self.lstm is not None:
            x, _ = self.lstm(x)
        out: Tensor = self.output(x)
        return out


class FactoredHead(nn.Module):
    """Vectors -> logits by a few numbers per codebook: far fewer weights than one linear layer."""

    def __init__(self, inputs: int, codebooks: int, size: int, width: int) -> None:
        super().__init__()
        self.out_features = codebooks * size
        self.project = nn.Linear(inputs, codebooks * width)
        self.codes = drawn(codebooks, width, size, std=width**-0.5)
        self.bias = nn.Parameter(torch.zeros(codebooks, size))

    def forward(self, x: Tensor) -> Tensor:
        """`[..., J]` -> `[..., K * V]`."""
        return self.logits(self.project(x).flatten(0, -2)).view(*x.shape[:-1], -1)

    def logits(self, numbers: Tensor) -> Tensor:
        """Outputs of `project` `[n, K * width]` -> logits `[n, K * V]`."""
        K, width, _ = self.codes.shape
        by_book = numbers.view(-1, K, width).transpose(0, 1)
        return torch.baddbmm(self.bias.unsqueeze(1), by_book, self.codes).transpose(0, 1).flatten(1)


class SetNetwork(nn.Module):
    """A network of `shape` with random weights."""

    def __init__(self, shape: SetShape) -> None:
        super().__init__()
        self.shape = shape
        self.encoder = Encoder(shape)
        self.predictor = None if shape.predictor is None else Predictor(shape, shape.predictor)
        inputs = shape.joint_width or shape.encoder.width
        self.head: nn.Linear | FactoredHead
        if shape.head_width is not None:
            self.head = FactoredHead(inputs, shape.codes.books, shape.codes.size, shape.head_width)
        else:
            self.head = nn.Linear(inputs, shape.latents or shape.codes.books * shape.codes.size)

    def joined(self, encoded: Tensor, predicted: Tensor | None) -> Tensor:
        """Input of the head, `[..., J]`, from encoder and predictor vectors of the same frame."""
        if self.shape.joint_width is None:
            return encoded
        return F.leaky_relu(encoded if predicted is None else encoded + predicted)

    def forward(self, noisy: Tensor, past: Tensor | None = None, frames: Tensor | None = None) -> Tensor:
        """Logits `[B, T, K, V]` of clean codes, or clean latents `[B, T, width]`.

        `noisy` and `past` `[B, T, K]`; `past` is `shifted` clean codes, None without a predictor; `frames`
        `[B]`, None where all rows have T. Outputs at padding are meaningless.
        """
        predicted = None
        if self.predictor is not None:
            if past is None:
                raise ValueError("this network needs the clean codes of earlier frames")
            predicted = self.predictor(past)
        return self.split(self.head(self.joined(self.encoder(noisy, frames), predicted)))

    def split(self, outputs: Tensor) -> Tensor:
        """The head's `[..., K * V]` by codebook `[..., K, V]`; latents are left as they are."""
        if self.shape.latents:
            return outputs
        return outputs.view(*outputs.shape[:-1], self.shape.codes.books, self.shape.codes.size)


def shifted(clean: Tensor, bos: int) -> Tensor:
    """Clean codes `[B, T, K]` one frame later, `bos` before the first."""
    past = torch.empty_like(clean)
    past[:, :1] = bos
    past[:, 1:] = clean[:, :-1]
    return past


def fresh_network(shape: SetShape, seed: int) -> SetNetwork:
    """A network to train: Xavier-normal conformers, a sum of K embeddings has about unit deviation."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = SetNetwork(shape)
        for module in network.modules():
            if isinstance(module, Conformer):
                set_initial_weights(module)
            elif isinstance(module, CodeEmbedding):
                nn.init.normal_(module.table.weight, std=len(module.offsets) ** -0.5)
    return network


def _embedding(shape: SetShape, entries: int) -> CodeEmbedding:
    return CodeEmbedding(shape.codes.books, entries, shape.embedding_width or 0, shape.pooling)
