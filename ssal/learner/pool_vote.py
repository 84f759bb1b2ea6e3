"""PoolVote: the scores of a pool's images as a classifier of any features; new ones join the pool's graph."""

from __future__ import annotations

from hashlib import sha256

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from ssal.learner.propagation import edge_weights, shares
from ssal.neighbours import full_precision, nearest
from ssal.streams import generator

LEAST = 1e-6
"""Shares below the solver's tolerance mean nothing."""
NEVER = -1e4
"""Logit of classes without a label, as the linear probe's."""


class PoolVote(nn.Module):
    """Features (B,D) in, log-probabilities (B,C) out: a pool image's own scores, or the vote of pool images near by."""

    unit: Tensor
    """The pool's features at length 1 (N,D); like the hashes they follow from the pool and are not saved."""
    factors: Tensor
    keys: Tensor
    """The pool's hashes, sorted (N,)."""
    key_rows: Tensor
    scores: Tensor
    """Z of every pool image (N,C)."""
    degrees: Tensor

    def __init__(self, pool: Tensor, classes: int, neighbours: int) -> None:
        """Make room for the scores of the pool's features (N,D)."""
        super().__init__()
        self.neighbours = neighbours
        factors = torch.randint(-(2**62), 2**62, (pool.shape[1],), generator=generator("pool_vote", "factors"))
        self.register_buffer("factors", 2 * factors + 1, persistent=False)
        keys, rows = self.hashed(pool).sort(stable=True)
        self.register_buffer("keys", keys, persistent=False)
        self.register_buffer("key_rows", rows, persistent=False)
        self.register_buffer("unit", normalize(pool), persistent=False)
        self.register_buffer("scores", torch.zeros(len(pool), classes))
        self.register_buffer("degrees", torch.ones(len(pool)))

    @property
    def fingerprint(self) -> str:
        """Follows from the pool's features and their order."""
        parts = (part.cpu().numpy().tobytes() for part in (self.keys, self.key_rows))
        return sha256(b"".join(parts)).hexdigest()

    def hashed(self, features: Tensor) -> Tensor:
        """Return an integer (B,) that follows from the bits of each feature vector, on any device and in any batch."""
        parts = (features.float() + 0.0).contiguous().view(torch.int32).split(4096)  # + 0.0 makes -0.0 a 0.0
        return torch.cat([(part.long() * self.factors).sum(dim=1) for part in parts])

    def rows_of(self, features: Tensor) -> Tensor:
        """Return the pool row (B,) of each feature vector, the first of copies; -1 where it is none of the pool's."""
        keys = self.hashed(features)
        places = torch.searchsorted(self.keys, keys).clamp(max=len(self.keys) - 1)
        rows = self.key_rows[places]
        close = (self.unit[rows] - normalize(features.float())).abs().amax(dim=1) < 1e-5  # hashes may collide
        return torch.where((self.keys[places] == keys) & close, rows, -1)

    @full_precision()
    def forward(self, features: Tensor) -> Tensor:
        """Return log-probabilities; classes without a label have none, and without evidence the others are equal."""
        rows = self.rows_of(features)
        new = rows < 0
        scores = self.scores[rows]
        if bool(new.any()):
            scores[new] = self.votes(normalize(features[new].float()))
        seen = self.scores.sum(dim=0) > 0
        found = torch.where(scores.sum(dim=1, keepdim=True) > 0, shares(scores), 1.0)
        return torch.where(seen | ~seen.any(), found.clamp(min=LEAST).log(), NEVER).log_softmax(dim=1)

    def votes(self, queries: Tensor) -> Tensor:
        """Return what the fixed point Z = αSZ + (1-α)Y gives unlabelled nodes (B,D) that join the graph, up to scale.

        Whoever joins changes no pool image's scores, so that new images do not depend on each other.
        """
        home = queries.device if queries.is_cuda else torch.device("cpu")
        distances, rows = nearest(queries.to(home), self.unit.to(home), self.neighbours)
        distances, rows = distances.to(queries.device), rows.to(queries.device)
        # Zero vectors have no length 1 and are similar to nothing, though the distance would say 0.5.
        whole = (queries != 0).any(dim=1)[:, None] & (self.unit[rows] != 0).any(dim=2)
        weights = torch.where(whole, edge_weights(1 - distances.square() / 2), 0) / self.degrees[rows].sqrt()
        return torch.einsum("bk,bkc->bc", weights, self.scores[rows])
