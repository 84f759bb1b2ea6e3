"""Disagreement of views, rounds and dropout masks: worked numbers, and mutual information as a peer computes it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ssal.acquisition.disagreement import bald, consistency, tod


def test_consistency_is_the_population_variance_summed_over_classes() -> None:
    views = torch.tensor([[[0.8, 0.2], [0.6, 0.4], [0.7, 0.3]], [[0.5, 0.5]] * 3])
    assert consistency(views).tolist() == pytest.approx([0.0133333, 0.0], abs=1e-7)


def test_tod_is_half_the_squared_distance() -> None:
    now, before = torch.tensor([[0.7, 0.3], [1.0, 0.0]]), torch.tensor([[0.4, 0.6], [0.0, 1.0]])
    assert tod(now, before).tolist() == pytest.approx([0.09, 1.0])
    assert torch.equal(tod(now, now), torch.zeros(2))


def test_bald_worked_numbers() -> None:
    masks = torch.tensor([[[1.0, 0.0], [0.0, 1.0]], [[0.5, 0.5], [0.5, 0.5]], [[0.9, 0.1], [0.7, 0.3]]])
    assert bald(masks).tolist() == pytest.approx([math.log(2), 0.0, 0.032429], abs=1e-6)
    first, other = [[0.9, 0.1]] * 2 + [[0.1, 0.9]] * 2, [[0.8, 0.2], [0.2, 0.8]] * 2
    assert bald(torch.tensor([first, other])).tolist() == pytest.approx([0.368064, 0.192745], abs=1e-6)


def test_bald_is_scikit_activemls_mean_divergence_from_the_consensus() -> None:
    from skactiveml.pool import average_kl_divergence

    drawn = np.random.default_rng(0).dirichlet(np.full(5, 0.4), (40, 7))  # N, K, C
    peer = average_kl_divergence(drawn.transpose(1, 0, 2), eps=1e-300)
    np.testing.assert_allclose(bald(torch.from_numpy(drawn)), peer, atol=1e-9)
