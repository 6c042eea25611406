"""GroundingDINO in the original package, ``groundingdino-py:CONFIG,CHECKPOINT``.

Images, prompts, thresholds and rows are those of ``grounding_dino.py``; only the model in the
middle is the original's. It was written for transformers below 5 and for checkpoints that are
pickles, so it is built with these adaptations, each made only where it is needed:

- its text encoder wrapper calls methods of BERT that transformers 5 has dropped
  (:func:`text_encoder_class`);
- torchvision built for another device does not import (``torchvision_operators.py``);
- its configuration files are Python programs: they are read as literals, never run;
- BERT's weights are those of the checkpoint: only BERT's configuration and tokenizer are read;
- prompts reach it as token ids, so that a phrase's tokens are known exactly;
- images are batched only where their prompts are equal: in a batch, the text encoder's layers give
  each image the attention masks of another one's prompt (the masks are repeated per head in the
  wrong order).

Weights are safetensors, or a ``.pth`` that holds nothing but tensors.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import logging
from collections import defaultdict
from collections.abc import Mapping
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from spatialtrust.backends.bundles import cached_snapshot
from spatialtrust.backends.grounding_dino.hf import GroundingDino, phrase_scores
from spatialtrust.backends.grounding_dino.phrases import PAD
from spatialtrust.backends.loading import dtype_of, import_torch, import_transformers
from spatialtrust.backends.preparing import Preparer
from spatialtrust.backends.torchvision_operators import import_torchvision
from spatialtrust.errors import BackendError, FileError, InputError, MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    import torch
    from numpy.typing import NDArray

    from spatialtrust.backends.base import Options
    from spatialtrust.backends.grounding_dino.hf import Job

logger = logging.getLogger(__name__)

TEXT_LIMIT: Final = 256
"""Tokens per prompt; the package has this number in its code."""

SIDES: Final = {"shortest_edge": 800, "longest_edge": 1333}
"""Pixels to which the package's own transforms scale images."""

_TRAINING_ONLY: Final = ("label_enc.", "bert.embeddings.position_ids")
"""Entries of published checkpoints that the model for detection has no place for."""


class GroundingDinoPy(GroundingDino):
    """A ``Detector``; weights load at the first image."""

    def __init__(self, config: Path, weights: Path, reference: str, options: Options) -> None:
        self.reference = reference
        self._config, self._weights, self._options = config, weights, options

    @cached_property
    def revision(self) -> str:  # type: ignore[override]
        """Hash of configuration and checkpoint."""
        digest = hashlib.sha256(self._config.read_bytes())
        with self._weights.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
        return f"sha256:{digest.hexdigest()}"

    def _forward(self, batch: Sequence[Job]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """See ``GroundingDino``; rows of one prompt share a pass."""
        torch = import_torch()
        rows_of: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for row, job in enumerate(batch):
            rows_of[job.prompt.tokens].append(row)
        logits: list[Any] = [None] * len(batch)
        boxes: list[Any] = [None] * len(batch)
        with torch.inference_mode():
            for tokens, rows in rows_of.items():
                values = self._preparer.gathered([batch[row].shown for row in rows])
                prompts = torch.tensor([tokens] * len(rows), device=self._device)
                outputs = self._model(values, captions=prompts)
                for place, row in enumerate(rows):
                    logits[row] = outputs["pred_logits"][place]
                    boxes[row] = outputs["pred_boxes"][place]
            scores = phrase_scores(batch, torch.stack(logits))
            return scores.cpu().numpy(), torch.stack(boxes).float().cpu().numpy()

    @property
    def _mixes_sizes(self) -> bool:
        """Never: the package pads images before its backbone, which sees the padding."""
        return False

    @cached_property
    def _settings(self) -> dict[str, Any]:
        return read_config(self._config)

    @cached_property
    def _text_folder(self) -> Path:
        name = str(self._settings.get("text_encoder_type", "bert-base-uncased"))
        return find_text_encoder(name, (self._config.parent, self._weights.parent))

    @cached_property
    def _dtype(self) -> torch.dtype:
        dtype: torch.dtype = import_torch().float32
        if dtype_of(self._options, self._device) != dtype:
            logger.warning("groundingdino-py runs in float32; %s is not used", self._options.dtype)
        return dtype

    @cached_property
    def _model(self) -> Any:
        model = build(self._settings, self._text_folder, self._tokenizer, str(self._device))
        load_weights(model, self._weights)
        model.tokenizer = _given_tokens
        return model.to(self._device).eval()

    @cached_property
    def _tokenizer(self) -> Any:
        return _transformers().AutoTokenizer.from_pretrained(
            self._text_folder, local_files_only=True, trust_remote_code=False
        )

    @cached_property
    def _preparer(self) -> Preparer:
        processor = _transformers().GroundingDinoImageProcessorPil(size=SIDES)
        return Preparer(processor, self._device, self._dtype)

    @property
    def _text_limit(self) -> int:
        return min(TEXT_LIMIT, int(self._settings.get("max_text_len", TEXT_LIMIT)))


def open_backend(target: str, reference: str, options: Options) -> GroundingDinoPy:
    """Find the files of a model of the original package; see ``registry.py``.

    Raises
    ------
    InputError: the target is not ``CONFIG,CHECKPOINT``.
    FileError: one of the files does not exist.
    MissingDependencyError: groundingdino-py is not installed.
    """
    config, comma, weights = target.partition(",")
    if not comma or not config or not weights:
        raise InputError(
            f"{reference}: give configuration and checkpoint, "
            "groundingdino-py:GroundingDINO_SwinT_OGC.py,groundingdino_swint_ogc.pth"
        )
    if find_spec("groundingdino") is None:
        raise MissingDependencyError("groundingdino-py", "groundingdino", reference)
    files = [_shipped(config), Path(weights).expanduser()]
    for file in files:
        if not file.is_file():
            raise FileError(file, "does not exist", f"{reference} needs it")
    return GroundingDinoPy(files[0], files[1], reference, options)


def _shipped(config: str) -> Path:
    """A configuration file, which may be one of those that come with the package."""
    given = Path(config).expanduser()
    package = find_spec("groundingdino.config")
    if given.exists() or given.name != config or package is None or package.origin is None:
        return given
    return Path(package.origin).with_name(config)


def read_config(file: Path) -> dict[str, Any]:
    """The assignments of a configuration file, which must be literals; nothing is run.

    Raises
    ------
    FileError: it is not a list of ``name = literal``.
    """
    settings: dict[str, Any] = {}
    try:
        for line in ast.parse(file.read_text("utf-8")).body:
            match line:
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    settings[name] = ast.literal_eval(value)
                case ast.Expr(value=ast.Constant()):
                    pass  # a comment in the form of a string
                case _:
                    raise ValueError(f"line {line.lineno} is not of the form name = literal")
    except (ValueError, SyntaxError) as error:
        raise FileError(
            file, f"is not a configuration of literals ({error})", "write the values out"
        ) from error
    return settings


def find_text_encoder(name: str, folders: Sequence[Path]) -> Path:
    """The folder with BERT's ``config.json`` and tokenizer.

    Parameters
    ----------
    name: a path, or the name of a folder beside configuration or checkpoint, or on the hub.
    folders: where to look for a name.

    Raises
    ------
    BackendError: it is nowhere.
    """
    for folder in (Path(name).expanduser(), *(folder / name for folder in folders)):
        if (folder / "config.json").is_file():
            return folder
    hub = name if "/" in name else f"google-bert/{name}"
    if cached := cached_snapshot(hub, None):
        return cached
    raise BackendError(
        f"the text encoder {name!r} is neither a folder beside the configuration or the checkpoint "
        f"nor in the local cache; put config.json, tokenizer.json and tokenizer_config.json of "
        f"{hub} into {folders[-1] / name}"
    )


def build(settings: Mapping[str, Any], text_folder: Path, tokenizer: Any, device: str) -> Any:
    """The package's model with the weights it starts from; nothing is downloaded."""
    transformers = _transformers()
    from groundingdino.models import build_model
    from groundingdino.models.GroundingDINO import groundingdino
    from groundingdino.util import get_tokenlizer
    from groundingdino.util.slconfig import SLConfig

    bert = transformers.BertConfig.from_pretrained(text_folder, local_files_only=True)
    replaced = {
        (get_tokenlizer, "get_tokenlizer"): lambda _: tokenizer,
        (get_tokenlizer, "get_pretrained_language_model"): lambda _: transformers.BertModel(bert),
    }
    if not hasattr(transformers.BertModel, "get_head_mask"):
        replaced[groundingdino, "BertModelWarper"] = text_encoder_class()
    # Recomputing activations saves memory in training only.
    inference = {"use_checkpoint": False, "use_transformer_ckpt": False, "device": device}
    with _replaced(replaced):
        return build_model(SLConfig({**settings, **inference}))


def _transformers() -> Any:
    """The transformers module; where torchvision is installed, it imports that as well."""
    import_torchvision()
    return import_transformers()


@contextlib.contextmanager
def _replaced(attributes: Mapping[tuple[Any, str], Any]) -> Iterator[None]:
    """Give modules other attributes for a while."""
    before = {(owner, name): getattr(owner, name) for owner, name in attributes}
    try:
        for (owner, name), value in attributes.items():
            setattr(owner, name, value)
        yield
    finally:
        for (owner, name), value in before.items():
            setattr(owner, name, value)


def text_encoder_class() -> type[Any]:
    """What stands in for the package's ``BertModelWarper`` on transformers 5 and later.

    The names of its parts are the same, so checkpoints fit. BERT's encoder is called with the mask
    that the original made through methods that are gone: 0 where a token may look, the dtype's
    least number where it may not.
    """
    from torch import finfo, nn

    class TextEncoder(nn.Module):
        def __init__(self, bert_model: Any) -> None:
            super().__init__()
            self.config = bert_model.config
            self.embeddings = bert_model.embeddings
            self.encoder = bert_model.encoder
            self.pooler = bert_model.pooler

        def forward(
            self, input_ids: Any, attention_mask: Any, token_type_ids: Any, position_ids: Any
        ) -> dict[str, Any]:
            states = self.embeddings(
                input_ids=input_ids, token_type_ids=token_type_ids, position_ids=position_ids
            )
            allowed = attention_mask.to(states.dtype)
            if allowed.ndim == 2:  # a padding mask, where phrases may see each other
                allowed = allowed[:, None, :]
            mask = (1.0 - allowed[:, None]) * finfo(states.dtype).min
            return {"last_hidden_state": self.encoder(states, attention_mask=mask)[0]}

    return TextEncoder


def load_weights(model: Any, file: Path) -> None:
    """Put a checkpoint into a model.

    Raises
    ------
    BackendError: it holds more than tensors, or other tensors than the model has.
    """
    state = _read_weights(file)
    state = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    try:
        missing, unexpected = model.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise BackendError(f"{file}: its tensors do not fit the configuration: {error}") from error
    surplus = [name for name in unexpected if not name.startswith(_TRAINING_ONLY)]
    if missing or surplus:
        raise BackendError(
            f"{file}: does not fit the configuration: "
            f"{len(missing)} tensors are missing ({', '.join(missing[:3])}), "
            f"{len(surplus)} have no place ({', '.join(surplus[:3])}); "
            "give the configuration that the checkpoint was trained with"
        )


def _read_weights(file: Path) -> dict[str, Any]:
    torch = import_torch()
    if file.suffix == ".safetensors":
        from safetensors.torch import load_file

        return dict(load_file(file))
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # zip, pickle and runtime errors, by what is wrong with the file
        raise BackendError(
            f"{file}: cannot be read as tensors alone ({error}); pickles can run code when they "
            "are read: convert a file that you trust to safetensors"
        ) from error
    state = content.get("model", content) if isinstance(content, Mapping) else None
    if not isinstance(state, Mapping):
        raise BackendError(f"{file}: holds no model: a mapping of names to tensors is needed")
    return dict(state)


def _given_tokens(captions: Any, **_: Any) -> Any:
    """In the place of the model's tokenizer: prompts are token ids (B, L) already."""
    from transformers import BatchEncoding

    return BatchEncoding(
        {
            "input_ids": captions,
            "token_type_ids": captions.new_zeros(captions.shape),
            "attention_mask": captions != PAD,
        }
    )
