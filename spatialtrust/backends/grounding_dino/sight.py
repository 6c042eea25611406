"""A batch of images of any sizes through GroundingDINO, each with the result that it has alone.

A padded batch changes what a backbone sees: windows reach into the padding, and group norms count
it. So backbone and projections see every image once, at its own size, images of one size together;
only their features are padded, and from there on masks keep padding out of every sum: valid ratios
scale what is sampled, and what is masked is zero or minus infinity.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import torch

    Size = tuple[int, int]


class Sight:
    """Backbone and projections of a model, replaced by ones that keep images apart.

    Attributes
    ----------
    pads: whether images of different sizes can share a pass: the strides of the levels are known.
    """

    def __init__(self, model: Any) -> None:
        config = model.config
        self._strides = _strides(config)
        self.pads = bool(self._strides)
        self._sizes: list[list[Size]] = []
        self._owner: list[int] = []
        self._images: list[torch.Tensor] = []
        self._levels: list[Size] = []
        model.backbone = _backbone(model.backbone, self)
        model.input_proj_vision = _projections(model.input_proj_vision, self)

    def look(
        self, images: Sequence[torch.Tensor], owner: Sequence[int]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Say what the next pass sees; its ``pixel_values`` and ``pixel_mask``.

        Parameters
        ----------
        images: (3, h, w) each.
        owner: which image each row of the batch shows.
        """
        import torch

        self._images, self._owner = list(images), list(owner)
        sizes = [(int(image.shape[1]), int(image.shape[2])) for image in images]
        height, width = (max(size[axis] for size in sizes) for axis in (0, 1))
        if len(set(sizes)) > 1:
            # Whole cells of the coarsest level, so that masks of all levels fall on whole cells.
            whole = self._strides[-1]
            height, width = -(-height // whole) * whole, -(-width // whole) * whole
            self._levels = [(height // stride, width // stride) for stride in self._strides]
        else:
            self._levels = []
        self._sizes = []
        # The model reads the shape alone: the images themselves never lie in one padded block.
        values = images[0].new_zeros(()).expand(len(owner), 3, height, width)
        mask = torch.zeros((len(owner), height, width), dtype=torch.long, device=values.device)
        for row, image in enumerate(owner):
            mask[row, : sizes[image][0], : sizes[image][1]] = 1
        return values, mask

    def features(self, backbone: Any, mask: torch.Tensor) -> tuple[list[Any], list[torch.Tensor]]:
        """What the model's backbone returns, image by image and then row by row."""
        import torch

        by_size: dict[Size, list[int]] = defaultdict(list)
        for place, image in enumerate(self._images):
            by_size[int(image.shape[1]), int(image.shape[2])].append(place)
        found: list[list[Any]] = []
        for (height, width), places in by_size.items():
            values = torch.stack([self._images[place] for place in places])
            whole = mask.new_ones((len(places), height, width))
            for level, (states, _) in enumerate(backbone.conv_encoder(values, whole)):
                if level == len(found):
                    found.append([None] * len(self._images))
                for place, state in zip(places, states, strict=True):
                    found[level][place] = state
        features, positions = [], []
        for level, states in enumerate(found):
            self._sizes.append([(state.shape[-2], state.shape[-1]) for state in states])
            stacked, seen = self._padded(states, level)
            position = backbone.position_embedding(stacked, seen).to(stacked.dtype)
            features.append((stacked[self._owner], seen[self._owner]))
            positions.append(position[self._owner])
        return features, positions

    def project(self, projection: Any, level: int, source: torch.Tensor) -> torch.Tensor:
        """One level's projection, of each image without its padding."""
        if not self._levels:
            projected: torch.Tensor = projection(source)
            return projected
        below = min(level, len(self._sizes) - 1)  # what further levels are made of
        sizes = [self._sizes[below][image] for image in self._owner]
        rows_of: dict[Size, list[int]] = defaultdict(list)
        for row, size in enumerate(sizes):
            rows_of[size].append(row)
        found: list[Any] = [None] * len(sizes)
        for (height, width), rows in rows_of.items():
            projected = projection(source[rows, :, :height, :width])
            for row, state in zip(rows, projected, strict=True):
                found[row] = state
        if level == len(self._sizes):
            own: list[Size] = [(0, 0)] * len(self._images)
            for image, state in zip(self._owner, found, strict=True):
                own[image] = (state.shape[-2], state.shape[-1])
            self._sizes.append(own)
        return self._padded(found, level)[0]

    def _padded(self, states: Sequence[Any], level: int) -> tuple[torch.Tensor, torch.Tensor]:
        """States (C, h, w) in one block, zero outside, and where they are."""
        import torch

        if not self._levels:
            stacked = torch.stack(list(states))
            return stacked, stacked.new_ones((len(states), *stacked.shape[-2:]), dtype=torch.bool)
        height, width = self._levels[level]
        block = states[0].new_zeros((len(states), states[0].shape[0], height, width))
        seen = torch.zeros((len(states), height, width), dtype=torch.bool, device=block.device)
        for place, state in enumerate(states):
            rows, columns = state.shape[-2:]
            block[place, :, :rows, :columns] = state
            seen[place, :rows, :columns] = True
        return block, seen


def _strides(config: Any) -> list[int]:
    """Pixels of a cell of each level, fine to coarse; empty where the backbone does not say."""
    backbone = getattr(config, "backbone_config", None)
    patch, stages = getattr(backbone, "patch_size", None), getattr(backbone, "out_indices", None)
    if not isinstance(patch, int) or not stages or getattr(backbone, "depths", None) is None:
        return []
    strides = [patch * 2 ** (stage - 1) for stage in stages]
    while len(strides) < config.num_feature_levels:
        strides.append(strides[-1] * 2)
    return strides


def _backbone(backbone: Any, sight: Sight) -> Any:
    from torch import nn

    class Backbone(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone = backbone
            self.position_embedding = backbone.position_embedding

        def forward(self, pixel_values: Any, pixel_mask: Any) -> Any:
            return sight.features(self.backbone, pixel_mask)

    return Backbone()


def _projections(projections: Iterable[Any], sight: Sight) -> Any:
    from torch import nn

    class Projection(nn.Module):
        def __init__(self, projection: Any, level: int) -> None:
            super().__init__()
            self.projection, self.level = projection, level

        def forward(self, source: Any) -> Any:
            return sight.project(self.projection, self.level, source)

    return nn.ModuleList([Projection(made, level) for level, made in enumerate(projections)])
