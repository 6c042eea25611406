"""Replies read off logits: yes against no over a fixed list of spellings, and log-likelihoods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from spatialtrust.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch
    from numpy.typing import NDArray

    from spatialtrust.backends.asking import Scores

SPELLINGS: Final = {
    "yes": ("yes", "Yes", "YES", " yes", " Yes", " YES"),
    "no": ("no", "No", "NO", " no", " No", " NO"),
}
"""What counts as yes and as no; those that a tokenizer knows as one token are summed."""

_ROWS: Final = 256
"""Rows of logits that are float32 at once: with a vocabulary of 50,000 about 50 MB."""


class Spellings(NamedTuple):
    """Token ids that mean yes, and those that mean no."""

    yes: list[int]
    no: list[int]


class Reply(NamedTuple):
    """What the first token of a reply says; each float32 (N,).

    Attributes
    ----------
    margin: log P(yes) - log P(no).
    mass: P(yes) + P(no).
    entropy: of the whole distribution, nats.
    """

    margin: torch.Tensor
    mass: torch.Tensor
    entropy: torch.Tensor


def spellings(tokenizer: Any, folder: object) -> Spellings:
    """The ids of yes and no in a tokenizer.

    Raises
    ------
    BackendError: it has no single token for one of them.
    """
    found = {answer: _single_tokens(tokenizer, variants) for answer, variants in SPELLINGS.items()}
    for answer, ids in found.items():
        if not ids:
            raise BackendError(
                f'{folder}: its tokenizer has no single token for "{answer}"; one of '
                f"{', '.join(map(repr, SPELLINGS[answer]))} is needed"
            )
    return Spellings(found["yes"], found["no"])


def _single_tokens(tokenizer: Any, variants: tuple[str, ...]) -> list[int]:
    ids = set()
    for variant in variants:
        pieces = tokenizer(variant, add_special_tokens=False)["input_ids"]
        if len(pieces) == 1 and pieces[0] != tokenizer.unk_token_id:
            ids.add(int(pieces[0]))
    return sorted(ids)


def read(logits: torch.Tensor, ids: Spellings) -> Reply:
    """The reply in logits (N, V) of its first token."""
    logp = logits.float().log_softmax(dim=-1)
    yes = logp[:, ids.yes].logsumexp(dim=-1)
    no = logp[:, ids.no].logsumexp(dim=-1)
    entropy = -(logp.exp() * logp.clamp(min=-1e4)).sum(dim=-1)
    return Reply(yes - no, yes.exp() + no.exp(), entropy)


def read_states(states: torch.Tensor, head: Any, ids: Spellings) -> Reply:
    """The same from last hidden states (N, d), without holding all logits at once."""
    import torch

    parts = [read(head(states[rows]), ids) for rows in slices(len(states))]
    return Reply(*(torch.cat(columns) for columns in zip(*parts, strict=True)))


def fill(scores: Scores, rows: NDArray[np.int64], reply: Reply) -> None:
    """Put what replies (N,) say into some rows (N,) of scores, by one copy off the device."""
    import torch

    margin, mass, entropy = torch.stack(reply).cpu().numpy()
    scores.margin[rows], scores.mass[rows], scores.entropy[rows] = margin, mass, entropy
    scores.p_yes[rows] = 1.0 / (1.0 + np.exp(-margin.clip(-80, 80)))


def loglik(states: torch.Tensor, head: Any, targets: torch.Tensor) -> torch.Tensor:
    """Log-likelihood (N,) of target tokens given the hidden states (N, d) that predict them."""
    import torch

    parts = [chosen(head(states[rows]), targets[rows]) for rows in slices(len(states))]
    return torch.cat(parts) if parts else states.new_zeros(0, dtype=torch.float32)


def chosen(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Log-likelihood (N,) of target tokens given the logits (N, V) that predict them."""
    logits = logits.float()
    return logits.gather(1, targets[:, None])[:, 0] - logits.logsumexp(dim=-1)


def slices(rows: int) -> Iterator[slice]:
    """Runs of rows that are turned into logits together."""
    return (slice(start, start + _ROWS) for start in range(0, rows, _ROWS))
