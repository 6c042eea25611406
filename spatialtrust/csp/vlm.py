"""Generative VLMs: log-likelihoods of replies, with the picture in every forward pass.

A BLIP-2 sees each picture once for all that is asked of it; any other VLM that transformers'
``AutoModelForImageTextToText`` loads (LLaVA, Qwen2-VL and their like) sees it once a reply.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import torch
from torch.nn.utils.rnn import pad_sequence

from spatialtrust.backends.preparing import Preparer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spatialtrust.arrays import Pixels

_ROWS: Final = 4096
"""Positions whose logits are float32 at once."""


class Scored(NamedTuple):
    """Log-likelihoods of replies (B,), of R tokens at most.

    Attributes
    ----------
    tokens: float32 (B, R), nats; 0 past a reply's end.
    lengths: int64 (B,), tokens of each reply.
    """

    tokens: torch.Tensor
    lengths: torch.Tensor

    @property
    def total(self) -> torch.Tensor:
        """Sum over the tokens of each reply, (B,)."""
        return self.tokens.sum(dim=1)


class Vlm:
    """A model with its tokenizer and the preparation of its pictures.

    Attributes
    ----------
    model: of transformers, or wrapped by ``peft``.
    revision: of the files it came from.
    follows: whether it follows instructions, so that it is told how to state a confidence.
    """

    follows: bool = False

    def __init__(self, model: Any, tokenizer: Any, processor: Any, revision: str) -> None:
        self.model, self.tokenizer, self.processor = model, tokenizer, processor
        self.revision = revision

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        device: torch.device = next(self.model.parameters()).device
        return device

    @property
    def language(self) -> Any:
        """The part that reads and writes text, its head among it."""
        return self.model.language_model

    def prompt(self, question: str, instruction: str) -> str:
        """How a question is put to this model."""
        raise NotImplementedError

    def score(
        self,
        pictures: Sequence[Pixels],
        owner: Sequence[int],
        prompts: Sequence[str],
        replies: Sequence[str],
    ) -> Scored:
        """Log-likelihoods of replies (B,), each to its prompt about ``pictures[owner]``.

        Gradients flow, unless they are switched off around the call.
        """
        raise NotImplementedError

    def reply_ids(self, reply: str) -> list[int]:
        """Tokens of a reply, the end of the text last."""
        ids: list[int] = self.tokenizer(reply, add_special_tokens=False)["input_ids"]
        return [*ids, self.tokenizer.eos_token_id]

    def save(self, folder: Any) -> None:
        """Write everything that loads it again."""
        for part in (self.model, self.tokenizer, self.processor):
            part.save_pretrained(folder)


class Blip2(Vlm):
    """BLIP-2 with OPT (a causal language model) or T5 (one that reads, then writes)."""

    @property
    def language(self) -> Any:
        """See ``Vlm.language``."""
        return self.inner.language_model

    @property
    def inner(self) -> Any:
        """The model without what ``peft`` puts around it."""
        return self.model.get_base_model() if hasattr(self.model, "get_base_model") else self.model

    def prompt(self, question: str, instruction: str) -> str:
        """See ``Vlm.prompt``; a BLIP-2 follows no instructions, so the question stands alone."""
        return f"Question: {question} Answer:"

    def see(self, pictures: Sequence[Pixels]) -> torch.Tensor:
        """What the language model sees of each picture, (P, queries, width)."""
        model = self.inner
        dtype = next(model.vision_model.parameters()).dtype
        values = Preparer(self.processor, self.device, dtype).batch(pictures)
        seen = model.vision_model(values).last_hidden_state
        queries = model.query_tokens.expand(len(seen), -1, -1)
        summary = model.qformer(query_embeds=queries, encoder_hidden_states=seen).last_hidden_state
        shown: torch.Tensor = model.language_projection(summary.to(seen.dtype))
        return shown

    def score(
        self,
        pictures: Sequence[Pixels],
        owner: Sequence[int],
        prompts: Sequence[str],
        replies: Sequence[str],
    ) -> Scored:
        """See ``Vlm.score``."""
        shown = self.see(pictures)[torch.as_tensor(owner, device=self.device)]
        asked = [self.tokenizer(text)["input_ids"] for text in prompts]
        said = [self.reply_ids(text) for text in replies]
        if self.inner.config.text_config.model_type == "t5":
            return self._from_decoder(shown, asked, said)
        return self._from_causal(shown, asked, said)

    def _from_causal(
        self, shown: torch.Tensor, asked: list[list[int]], said: list[list[int]]
    ) -> Scored:
        language = self.inner.language_model
        rows = [torch.tensor(a + s) for a, s in zip(asked, said, strict=True)]
        tokens = pad_sequence(rows, batch_first=True).to(self.device)
        text = _filled([len(row) for row in rows], tokens)
        mask = torch.cat([torch.ones_like(shown[:, :, 0], dtype=torch.int64), text], dim=1)
        embedded = language.get_input_embeddings()(tokens)
        states = language.base_model(
            inputs_embeds=torch.cat([shown.to(embedded.dtype), embedded], dim=1),
            attention_mask=mask,
            use_cache=False,
        ).last_hidden_state[:, shown.shape[1] :]
        return read(states, tokens, asked, said, language.get_output_embeddings())

    def _from_decoder(
        self, shown: torch.Tensor, asked: list[list[int]], said: list[list[int]]
    ) -> Scored:
        language = self.inner.language_model
        tokens = pad_sequence([torch.tensor(a) for a in asked], batch_first=True).to(self.device)
        text = _filled([len(a) for a in asked], tokens)
        mask = torch.cat([torch.ones_like(shown[:, :, 0], dtype=torch.int64), text], dim=1)
        embedded = language.get_input_embeddings()(tokens)
        replies = pad_sequence([torch.tensor(s) for s in said], batch_first=True).to(self.device)
        start = replies.new_full((len(said), 1), language.config.decoder_start_token_id)
        logits = language(
            inputs_embeds=torch.cat([shown.to(embedded.dtype), embedded], dim=1),
            attention_mask=mask,
            decoder_input_ids=torch.cat([start, replies[:, :-1]], dim=1),
        ).logits
        lengths = torch.tensor([len(s) for s in said], device=self.device)
        found = logits.float().log_softmax(dim=-1).gather(2, replies[..., None])[..., 0]
        return Scored(found * _filled(lengths.tolist(), replies), lengths)


class Chat(Vlm):
    """Any other: the prompt through its chat template where it has one, the picture in each row."""

    follows = True

    @property
    def language(self) -> Any:
        """See ``Vlm.language``; its head stands beside it, tied to its embeddings or not."""
        core = self.model.get_decoder() if hasattr(self.model, "get_decoder") else self.model
        return torch.nn.ModuleList([core, self.model.get_output_embeddings()])

    def prompt(self, question: str, instruction: str) -> str:
        """See ``Vlm.prompt``."""
        text = f"{question} {instruction}".strip()
        if getattr(self.processor, "chat_template", None):
            content = [{"type": "image"}, {"type": "text", "text": text}]
            turns = [{"role": "user", "content": content}]
            put: str = self.processor.apply_chat_template(turns, add_generation_prompt=True)
            return put
        return f"{getattr(self.processor, 'image_token', '<image>')}\n{text}\n"

    def score(
        self,
        pictures: Sequence[Pixels],
        owner: Sequence[int],
        prompts: Sequence[str],
        replies: Sequence[str],
    ) -> Scored:
        """See ``Vlm.score``."""
        put = self.processor(
            images=[pictures[place] for place in owner],
            text=list(prompts),
            return_tensors="pt",
            padding=True,
            input_data_format="channels_last",
        )
        shown = put["attention_mask"].bool()
        asked = [ids[kept].tolist() for ids, kept in zip(put["input_ids"], shown, strict=True)]
        said = [self.reply_ids(text) for text in replies]
        rows = [torch.tensor(a + s) for a, s in zip(asked, said, strict=True)]
        tokens = pad_sequence(rows, batch_first=True).to(self.device)
        inputs: dict[str, Any] = {
            name: value.to(self.device)
            for name, value in put.items()
            if name not in ("input_ids", "attention_mask", *_TYPES)
        }
        for name in _TYPES:
            if name in put:  # which tokens are pictures; those of a reply are text, 0
                kinds = [
                    torch.cat([kind[kept], kind.new_zeros(len(s))])
                    for kind, kept, s in zip(put[name], shown, said, strict=True)
                ]
                inputs[name] = pad_sequence(kinds, batch_first=True).to(self.device)
        text = _filled([len(row) for row in rows], tokens)
        logits = self.model(input_ids=tokens, attention_mask=text, use_cache=False, **inputs).logits
        return read(logits, tokens, asked, said, torch.nn.Identity())


_TYPES: Final = ("token_type_ids", "mm_token_type_ids")


def read(
    states: torch.Tensor,
    tokens: torch.Tensor,
    asked: Sequence[Sequence[int]],
    said: Sequence[Sequence[int]],
    head: Any,
) -> Scored:
    """Log-likelihoods of the replies in rows of prompt and reply, from states (B, T, d)."""
    lengths = torch.tensor([len(s) for s in said], device=states.device)
    starts = torch.tensor([len(a) for a in asked], device=states.device)
    places = torch.arange(int(lengths.max()), device=states.device)
    inside = places < lengths[:, None]
    row, step = inside.nonzero(as_tuple=True)
    column = starts[row] + step
    before = states[row, column - 1]
    parts = [
        _chosen(head(before[start : start + _ROWS]), tokens[row, column][start : start + _ROWS])
        for start in range(0, len(row), _ROWS)
    ]
    found = states.new_zeros(inside.shape, dtype=torch.float32)
    return Scored(found.index_put((row, step), torch.cat(parts)), lengths)


def _chosen(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    logp: torch.Tensor = logits.float().log_softmax(dim=-1)
    return logp.gather(1, targets[:, None])[:, 0]


def _filled(lengths: Sequence[int], like: torch.Tensor) -> torch.Tensor:
    """Int64 (B, T): 1 where a row has tokens."""
    columns = torch.arange(like.shape[1], device=like.device)
    return (columns < torch.tensor(lengths, device=like.device)[:, None]).to(torch.int64)
