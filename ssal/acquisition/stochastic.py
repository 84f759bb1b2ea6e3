"""Stochastic: draw images by their scores instead of taking the best, since these are often alike."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from ssal.acquisition.ordering import ranks
from ssal.errors import BadInput
from ssal.method import Child
from ssal.registry import scores

ROUNDING = 1e-6
"""Scores this little below 0 are rounding, and count as 0."""


def log_odds(values: Tensor, form: str, coldness: float) -> Tensor:
    """Return the logarithm of the odds (n,) with which the first image is drawn by these scores, up to a constant."""
    if form == "softmax":
        return coldness * values
    if form == "softrank":
        return -coldness * (1 + (len(values) - 1) * (1 - ranks(values))).log()
    return coldness * values.clamp(min=0).log()


@scores
def stochastic(
    child_scores: dict[str, Tensor],
    *,
    generator: torch.Generator,
    scored_by: Child = "entropy",
    form: Literal["softrank", "power", "softmax"] = "softrank",
    coldness: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0,
) -> Tensor:
    """Draw images one after the other by the scores of the strategy `scored_by` (Kirsch et al., 2023).

    Odds are rank ^ -coldness (`softrank`, the best has rank 1, equal scores share their mean rank, so that any scores
    will do), score ^ coldness (`power`, for scores from 0) or exp(coldness · score) (`softmax`): the colder, the more
    the best scores are preferred. What is returned is their logarithm plus Gumbel noise: its largest are draws without
    replacement. Images of odds 0 come last, in random order.
    Raises BadInput for `power` where a score is negative, as those of margin are.
    """
    values = child_scores[scored_by].double()
    if form == "power" and values.min() < -ROUNDING:
        raise BadInput(
            f"stochastic: form power expects scores of at least 0, but the lowest of {scored_by} is "
            f"{float(values.min()):.4g}; type form: softrank, which takes any scores, or softmax"
        )
    odds = log_odds(values, form, coldness)
    # Minus the logarithm of an exponential draw is a Gumbel draw.
    waits = torch.empty_like(odds).exponential_(generator=generator)
    possible = odds.isfinite()
    lowest = (odds - waits.log())[possible].min() if possible.any() else odds.new_zeros(())
    return torch.where(possible, odds - waits.log(), lowest - waits)
