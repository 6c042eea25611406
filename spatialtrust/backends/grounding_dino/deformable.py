"""Deformable attention without a copy of all that it samples.

The library samples every level, stacks the samples, weighs them and adds them up: four times
through 300 MB an image and layer. Here every level is added up as soon as it is sampled, and on a
GPU with Triton (it comes with PyTorch there) one kernel samples, weighs and adds in registers
(``deformable_kernel.py``). It is tried against the plain way before it is used.

Source: Zhu et al., Deformable DETR (arXiv 2010.04159), equation 3.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch

    Sample = Callable[
        [torch.Tensor, torch.Tensor, Sequence[tuple[int, int]], torch.Tensor, torch.Tensor],
        torch.Tensor,
    ]

log = logging.getLogger(__name__)

_REPLACED: Final = "MultiScaleDeformableAttention"
_CLOSE: Final = 1e-4


def lighten(model: Any, device: torch.device) -> None:
    """Put :func:`sampled`, or its kernel, in the place of the library's own sampling."""
    from torch import nn

    best = _fastest(device)

    class Sampling(nn.Module):
        def forward(
            self,
            value: Any,
            spatial_shapes: Any,
            spatial_shapes_list: Any,
            level_start_index: Any,
            sampling_locations: Any,
            attention_weights: Any,
            im2col_step: int,
        ) -> Any:
            width = value.shape[3]
            sample = sampled if width & (width - 1) else best  # a kernel takes powers of two
            return sample(
                value, spatial_shapes, spatial_shapes_list, sampling_locations, attention_weights
            )

    for module in list(model.modules()):
        for name, child in module.named_children():
            if type(child).__name__ == _REPLACED:
                setattr(module, name, Sampling())


def sampled(
    value: torch.Tensor,
    shapes: torch.Tensor,
    sizes: Sequence[tuple[int, int]],
    places: torch.Tensor,
    weights: torch.Tensor,
) -> torch.Tensor:
    """What each query gathers, (B, Q, H * C): a weighted sum of states between cells.

    Parameters
    ----------
    value: (B, S, H, C), the states of all levels one behind another, of H heads.
    shapes: int (L, 2), rows and columns of each level; ``sizes`` are the same numbers.
    places: (B, Q, H, L, P, 2), x and y in fractions of the level; outside there is nothing (0).
    weights: (B, Q, H, L, P).
    """
    from torch.nn.functional import grid_sample

    count, _, heads, width = value.shape
    queries = places.shape[1]
    total: torch.Tensor | None = None
    start = 0
    for level, (high, wide) in enumerate(sizes):
        states = value[:, start : start + high * wide].permute(0, 2, 3, 1)
        start += high * wide
        found = grid_sample(
            states.reshape(count * heads, width, high, wide),
            (2 * places[:, :, :, level] - 1).transpose(1, 2).flatten(0, 1),
            align_corners=False,
        )
        share = weights[:, :, :, level].transpose(1, 2).reshape(count * heads, 1, queries, -1)
        added = found.mul_(share).sum(-1)
        total = added if total is None else total.add_(added)
    assert total is not None
    return total.view(count, heads * width, queries).transpose(1, 2).contiguous()


def _fastest(device: torch.device) -> Sample:
    """The kernel, where it can be built and agrees with :func:`sampled`."""
    if device.type != "cuda":
        return sampled
    try:
        from spatialtrust.backends.grounding_dino.deformable_kernel import sampled_by_kernel

        tried = _trial(device)
        difference = float((sampled_by_kernel(*tried) - sampled(*tried)).abs().max())
    except Exception as error:  # no Triton, no C compiler, a card that it does not know
        log.info("deformable attention runs without its kernel: %s", error)
        return sampled
    if not difference < _CLOSE:
        log.warning("deformable attention runs without its kernel: it is off by %g", difference)
        return sampled
    return sampled_by_kernel


def _trial(device: torch.device) -> tuple[Any, ...]:
    """Some inputs of :func:`sampled`, with places outside too."""
    import torch

    sizes = [(5, 7), (3, 4)]
    made = torch.Generator().manual_seed(0)
    cells = sum(high * wide for high, wide in sizes)
    return (
        torch.rand((2, cells, 2, 16), generator=made).to(device),
        torch.tensor(sizes, device=device),
        sizes,
        (torch.rand((2, 40, 2, len(sizes), 4, 2), generator=made) * 1.4 - 0.2).to(device),
        torch.rand((2, 40, 2, len(sizes), 4), generator=made).to(device),
    )
