"""What is minimised: likelihood of replies, SimPO, and a confidence that falls with the picture.

All take log-likelihoods (B,) of whole replies. No reference model is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn.functional import logsigmoid

if TYPE_CHECKING:
    import torch


def simpo(
    chosen: torch.Tensor,
    rejected: torch.Tensor,
    chosen_length: torch.Tensor,
    rejected_length: torch.Tensor,
    *,
    beta: float,
    gamma: float,
) -> torch.Tensor:
    """``-log sigmoid(beta / |w| log p(w) - beta / |l| log p(l) - gamma)``, (B,).

    Parameters
    ----------
    chosen, rejected: sum of the log-likelihoods of a reply's tokens, (B,).
    chosen_length, rejected_length: how many tokens that are, (B,).
    gamma: the margin, in the loss's own units (TRL's ``simpo_gamma`` is the same number).

    Source: Meng et al. 2024, SimPO (arXiv 2405.14734), equation 6.

    >>> import torch
    >>> one = torch.ones(1)
    >>> round(float(simpo(-2 * one, -6 * one, 2 * one, 3 * one, beta=2.0, gamma=0.5)), 4)
    0.2014
    """
    better = beta * (chosen / chosen_length - rejected / rejected_length) - gamma
    return -logsigmoid(better)


def falling(
    surer_clean: torch.Tensor,
    less_clean: torch.Tensor,
    surer_noised: torch.Tensor,
    less_noised: torch.Tensor,
    *,
    beta: float,
) -> torch.Tensor:
    """Confidence must be lower on the corrupted picture than on the clean one, (B,).

    ``-log sigmoid(beta [(log p(s | x) - log p(l | x)) - (log p(s | x') - log p(l | x'))])``: the
    odds of the surer reply ``s`` against the less sure ``l`` are higher on the clean picture ``x``
    than on the corrupted ``x'``. What the replies cost as texts cancels, so a model that does not
    look at the picture gains nothing: its loss is log 2. This package's choice.

    >>> import torch
    >>> a, b = torch.zeros(1), torch.ones(1)
    >>> round(float(falling(b, a, a, b, beta=1.0)), 4), round(float(falling(b, a, b, a, beta=1)), 4)
    (0.1269, 0.6931)
    """
    return -logsigmoid(beta * ((surer_clean - less_clean) - (surer_noised - less_noised)))
