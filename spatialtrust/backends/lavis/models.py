"""The three BLIP-2 of LAVIS, as the worker uses them: pictures to features, texts to scores.

Runs in the LAVIS environment: standard library, torch and LAVIS only. What is asked and how replies
are read is the same as for ``blip2:`` references, on LAVIS's own modules and preprocessing.
"""

from __future__ import annotations

import hashlib
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

OPERATORS = Path(__file__).resolve().parents[1] / "torchvision_operators.py"
SLACK = 64.0
"""Bytes per number of a layer's width while the layer runs: about 16 tensors of 4 bytes."""
ROOM = 32
"""Tokens that a text is assumed to have when memory is planned."""


class Model:
    """What the three architectures share: pixels to features, features and texts to results."""

    asks = "questions"

    def __init__(self, model: Any, vision: Any, caption: Any, revision: str) -> None:
        self.model, self.vision, self.caption = model, vision, caption
        self.facts = {
            "asks": self.asks,
            "revision": revision,
            "picture_bytes": self.picture_bytes(),
            "row_bytes": self.row_bytes(),
        }

    def picture_bytes(self) -> float:
        """Activations of the vision tower per picture."""
        return SLACK * self.patches() * float(self.model.visual_encoder.num_features)

    def patches(self) -> int:
        """Places of the vision tower's output; its towers all have patches of 14 pixels."""
        from PIL import Image

        side = self.vision(Image.new("RGB", (2, 2))).shape[-1] // 14
        return int(side * side + 1)

    def row_bytes(self) -> float:
        """Activations of one text of ``ROOM`` tokens."""
        raise NotImplementedError

    def encode(self, pixels: list[Any]) -> Any:
        """Float32 array (pictures, ...): all that scoring needs to know of the pictures."""
        import torch
        from PIL import Image

        with torch.inference_mode():
            batch = torch.stack([self.vision(Image.fromarray(array)) for array in pixels])
            with self.model.maybe_autocast():
                seen = self.model.visual_encoder(batch.to(self.model.device))
                seen = self.model.ln_vision(seen)
            return self.summarize(seen.float()).cpu().numpy()

    def summarize(self, seen: Any) -> Any:
        """What is kept of the vision tower's output (pictures, patches, width)."""
        raise NotImplementedError

    def query(self, seen: Any) -> Any:
        """The Q-Former's output (pictures, queries, width)."""
        return self.model.Qformer.bert(
            query_embeds=self.model.query_tokens.expand(len(seen), -1, -1),
            encoder_hidden_states=seen,
            encoder_attention_mask=_ones(seen),
            return_dict=True,
        ).last_hidden_state

    def score(
        self, features: Any, pictures: list[int], texts: list[str], reply: bool
    ) -> list[dict[str, Any]]:
        """One result per text: what it says of ``features[pictures[i]]``."""
        import torch

        used = sorted(set(pictures))
        slot = {picture: place for place, picture in enumerate(used)}
        device = self.model.device
        with torch.inference_mode():
            seen = torch.from_numpy(features[used]).to(device)
            which = torch.tensor([slot[picture] for picture in pictures], device=device)
            return self.read(seen, which, texts, reply)

    def read(self, seen: Any, which: Any, texts: list[str], reply: bool) -> list[dict[str, Any]]:
        """Results of one batch; text i is about ``seen[which[i]]``."""
        raise NotImplementedError


class Opt(Model):
    """BLIP-2 with OPT: the language model sees each picture once, its texts share the cache."""

    def __init__(self, words: dict[str, list[str]], *parts: Any) -> None:
        super().__init__(*parts)
        self.tokenizer = self.model.opt_tokenizer
        self.tokenizer.padding_side = "right"
        self.ids = {name: _single_tokens(self.tokenizer, words[name]) for name in ("yes", "no")}

    def row_bytes(self) -> float:
        """See ``Model``."""
        config = self.model.opt_model.config
        queries = self.model.query_tokens.shape[1]
        kept = 8.0 * config.num_hidden_layers * queries * config.hidden_size
        return float(kept + ROOM * (SLACK * config.hidden_size + 12.0 * config.vocab_size))

    def summarize(self, seen: Any) -> Any:
        """See ``Model``."""
        return self.model.opt_proj(self.query(seen))

    def read(self, seen: Any, which: Any, texts: list[str], reply: bool) -> list[dict[str, Any]]:
        """See ``Model``."""
        import torch

        language = self.model.opt_model
        limit = language.config.max_position_embeddings - seen.shape[1]
        ids, mask, fits = _tokens(self.tokenizer, texts, limit, self.model.device)
        with self.model.maybe_autocast():
            kept = language(
                inputs_embeds=seen, attention_mask=_ones(seen), use_cache=True, return_dict=True
            ).past_key_values
            logits = language(
                input_ids=ids,
                attention_mask=torch.cat([_ones(seen)[which], mask], dim=1),
                past_key_values=[tuple(part[which] for part in layer) for layer in kept],
                return_dict=True,
            ).logits
        if reply:
            last = mask.sum(dim=1) - 1
            found = _replies(logits[range(len(texts)), last], self.ids)
        else:
            # The first token, the start of the text, is not part of the claim.
            found = _likelihoods(logits[:, :-1], ids[:, 1:], mask[:, 1:])
        return _refuse_long(found, fits)


class T5(Model):
    """BLIP-2 with T5: the encoder reads picture and question together."""

    def __init__(self, words: dict[str, list[str]], *parts: Any) -> None:
        super().__init__(*parts)
        self.tokenizer = self.model.t5_tokenizer
        self.ids = {name: _single_tokens(self.tokenizer, words[name]) for name in ("yes", "no")}

    def row_bytes(self) -> float:
        """See ``Model``."""
        config = self.model.t5_model.config
        queries = self.model.query_tokens.shape[1]
        return float((queries + ROOM) * 2 * SLACK * config.d_model + ROOM * 12 * config.vocab_size)

    def summarize(self, seen: Any) -> Any:
        """See ``Model``."""
        return self.model.t5_proj(self.query(seen))

    def read(self, seen: Any, which: Any, texts: list[str], reply: bool) -> list[dict[str, Any]]:
        """See ``Model``."""
        import torch

        language = self.model.t5_model
        start = language.config.decoder_start_token_id
        ids, mask, _ = _tokens(self.tokenizer, texts, None, self.model.device)
        if reply:
            encoded = self.encode_text(seen[which], ids, mask)
            decoder_ids = ids.new_full((len(texts), 1), start)
        else:
            # The encoder sees the picture and an empty text, the decoder says the claim; the end of
            # the text, last of its tokens, is not part of the claim.
            end = ids.new_full((len(seen), 1), self.tokenizer.eos_token_id)
            encoded = self.encode_text(seen, end, torch.ones_like(end))
            encoded = tuple(part[which] for part in encoded)
            mask[range(len(texts)), mask.sum(dim=1) - 1] = 0
            decoder_ids = torch.cat([ids.new_full((len(texts), 1), start), ids[:, :-1]], dim=1)
        with self.model.maybe_autocast(dtype=torch.bfloat16):
            logits = language(
                encoder_outputs=(encoded[0],),
                attention_mask=encoded[1],
                decoder_input_ids=decoder_ids,
                return_dict=True,
            ).logits
        return _replies(logits[:, 0], self.ids) if reply else _likelihoods(logits, ids, mask)

    def encode_text(self, seen: Any, ids: Any, mask: Any) -> tuple[Any, Any]:
        """The encoder's output for pictures followed by texts, and which of it is not padding."""
        import torch

        encoder = self.model.t5_model.encoder
        whole = torch.cat([_ones(seen), mask], dim=1)
        with self.model.maybe_autocast(dtype=torch.bfloat16):
            embedded = torch.cat([seen, encoder.embed_tokens(ids)], dim=1)
            return encoder(inputs_embeds=embedded, attention_mask=whole).last_hidden_state, whole


class Matching(Model):
    """BLIP-2's first stage: how well a caption matches a picture."""

    asks = "captions"

    def __init__(self, _: dict[str, list[str]], *parts: Any) -> None:
        super().__init__(*parts)

    def row_bytes(self) -> float:
        """See ``Model``."""
        config = self.model.Qformer.config
        queries = self.model.query_tokens.shape[1]
        seen = self.patches() * (4.0 * config.encoder_width + 8.0 * config.hidden_size)
        return float(seen + (queries + ROOM) * SLACK * config.hidden_size)

    def summarize(self, seen: Any) -> Any:
        """See ``Model``."""
        return seen

    def read(self, seen: Any, which: Any, texts: list[str], reply: bool) -> list[dict[str, Any]]:
        """See ``Model``."""
        import torch
        from torch.nn.functional import normalize

        model = self.model
        captions = [self.caption(text) for text in texts]
        ids, mask, fits = _tokens(model.tokenizer, captions, model.max_txt_len, model.device)
        queries = model.query_tokens.expand(len(texts), -1, -1)
        matched = model.Qformer.bert(
            ids,
            query_embeds=queries,
            attention_mask=torch.cat([_ones(queries), mask], dim=1),
            encoder_hidden_states=seen[which],
            encoder_attention_mask=_ones(seen)[which],
            return_dict=True,
        ).last_hidden_state[:, : queries.shape[1]]
        logits = model.itm_head(matched).mean(dim=1)
        alone = model.Qformer.bert(ids, attention_mask=mask, return_dict=True).last_hidden_state
        said = normalize(model.text_proj(alone[:, 0]), dim=-1)
        shown = normalize(model.vision_proj(self.query(seen)), dim=-1)[which]
        cosine = torch.einsum("rqd,rd->rq", shown, said).amax(dim=1)
        found = _replies(logits, {"no": [0], "yes": [1]})
        for result, value in zip(found, cosine.tolist(), strict=True):
            result["similarity"] = value
        return _refuse_long(found, fits)


MODELS: dict[str, Callable[..., Model]] = {
    "blip2_opt": Opt,
    "blip2_t5": T5,
    "blip2_image_text_matching": Matching,
}


def _ones(states: Any) -> Any:
    """Attention to every place of (rows, places, width)."""
    import torch

    return torch.ones(states.shape[:2], dtype=torch.long, device=states.device)


def _tokens(
    tokenizer: Any, texts: list[str], limit: int | None, device: Any
) -> tuple[Any, Any, list[bool]]:
    """Right-padded ids, their mask, and which texts are within the limit (the others are cut)."""
    import torch

    listed = [tokenizer(text)["input_ids"] for text in texts]
    fits = [limit is None or len(ids) <= limit for ids in listed]
    listed = [ids[:limit] for ids in listed]
    width = max(map(len, listed))
    padded = [ids + [tokenizer.pad_token_id] * (width - len(ids)) for ids in listed]
    mask = [[1] * len(ids) + [0] * (width - len(ids)) for ids in listed]
    return torch.tensor(padded, device=device), torch.tensor(mask, device=device), fits


def _single_tokens(tokenizer: Any, spellings: list[str]) -> list[int]:
    """Ids of those spellings that are one token.

    Raises
    ------
    ValueError: none is.
    """
    found = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in spellings]
    ids = {pieces[0] for pieces in found if len(pieces) == 1} - {tokenizer.unk_token_id}
    if not ids:
        raise ValueError(f"the tokenizer has no single token for any of {spellings}")
    return sorted(ids)


def _replies(logits: Any, ids: dict[str, list[int]]) -> list[dict[str, Any]]:
    """What the first token of each reply says, from its logits (rows, vocabulary)."""
    logp = logits.float().log_softmax(dim=-1)
    yes, no = (logp[:, ids[name]].logsumexp(dim=-1) for name in ("yes", "no"))
    columns = {
        "margin": yes - no,
        "mass": yes.exp() + no.exp(),
        "entropy": -(logp.exp() * logp.clamp(min=-1e4)).sum(dim=-1),
    }
    return _rows(columns)


def _likelihoods(logits: Any, ids: Any, mask: Any) -> list[dict[str, Any]]:
    """Mean log-likelihood of the tokens of each row, given logits that predict them."""
    logp = logits.float().log_softmax(dim=-1).gather(2, ids[..., None])[..., 0]
    return _rows({"loglik_per_token": (logp * mask).sum(dim=1) / mask.sum(dim=1)})


def _rows(columns: dict[str, Any]) -> list[dict[str, Any]]:
    listed = [column.tolist() for column in columns.values()]
    return [dict(zip(columns, values, strict=True)) for values in zip(*listed, strict=True)]


def _refuse_long(found: list[dict[str, Any]], fits: list[bool]) -> list[dict[str, Any]]:
    """A text that had to be cut may have lost its object: no result is better than a wrong one."""
    return [r if fit else {"status": "text_too_long"} for r, fit in zip(found, fits, strict=True)]


def load(request: dict[str, Any]) -> Model:
    """Load a LAVIS model by its registered name and type, or from a YAML file of the user's."""
    runpy.run_path(str(OPERATORS))["import_torchvision"]()
    import torch
    from lavis.common.registry import registry
    from lavis.models import load_model_and_preprocess
    from omegaconf import OmegaConf  # type: ignore[import-not-found]

    architecture, kind = request["architecture"], request["type"]
    if request["config"]:
        architecture, kind = _adopt(Path(request["config"])), "local"
    device = request["device"]
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    model, vision, caption = load_model_and_preprocess(
        architecture, kind, is_eval=True, device=device
    )
    family = registry.get_model_class(architecture)
    config = OmegaConf.load(family.default_config_path(kind)).model
    words = {name: request[name] for name in ("yes", "no")}
    parts = (model, vision["eval"], caption["eval"], _revision(config))
    return MODELS[architecture](words, *parts)


def _adopt(file: Path) -> str:
    """Make LAVIS know a YAML file as a model type ``local``; the architecture it is for.

    The file is like those in ``lavis/configs/models/blip2``, with two differences: ``model.arch``
    names the architecture, and ``model.vit`` may give the vision tower's shape (``embed_dim``,
    ``depth``, ``num_heads``, ``mlp_ratio``), whose weights are then the checkpoint's.
    """
    from functools import partial

    from lavis.common.registry import registry
    from lavis.models import eva_vit
    from lavis.models.blip2_models import blip2
    from omegaconf import OmegaConf
    from torch import nn

    config = OmegaConf.load(file).model
    if config.arch not in MODELS:
        raise ValueError(f"{file}: model.arch is {config.arch!r}; valid: {', '.join(MODELS)}")
    if shape := config.get("vit"):

        def create(image_size: int, drop_path_rate: float, *_: Any) -> Any:
            return eva_vit.VisionTransformer(
                img_size=image_size,
                patch_size=14,
                qkv_bias=True,
                use_mean_pooling=False,
                drop_path_rate=drop_path_rate,
                norm_layer=partial(nn.LayerNorm, eps=1e-6),
                **OmegaConf.to_container(shape),
            )

        blip2.create_eva_vit_g = create
    registry.get_model_class(config.arch).PRETRAINED_MODEL_CONFIG_DICT = {"local": str(file)}
    return str(config.arch)


def _revision(config: Any) -> str:
    """Hash of the checkpoint; a frozen language model comes from its own files beside it."""
    import torch

    name = str(config.finetuned if config.get("load_finetuned", True) else config.pretrained)
    downloaded = Path(torch.hub.get_dir()) / "checkpoints" / name.rpartition("/")[2]
    with (downloaded if "://" in name else Path(name)).open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
