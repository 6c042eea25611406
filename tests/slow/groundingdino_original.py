"""Runs in the environment of groundingdino-py: makes a model of it, and detects with our backend.

``make FOLDER`` writes random weights for ``FOLDER/config.py``, as safetensors and as the ``.pth``
that the original's training writes. ``detect FOLDER CHECKPOINT`` detects ``phrases.json`` in the
images of ``images.npz`` and writes ``detections.parquet``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import AutoTokenizer

from spatialtrust.backends.base import Options
from spatialtrust.backends.grounding_dino.original import build, open_backend, read_config
from spatialtrust.io.parquet import write_table


def make(folder: Path) -> None:
    torch.manual_seed(0)
    text_folder = folder / "bert-base-uncased"
    tokenizer = AutoTokenizer.from_pretrained(text_folder, local_files_only=True)
    model = build(read_config(folder / "config.py"), text_folder, tokenizer, "cpu")
    # What is zero or tiny at the start of training would hide mistakes: boxes, fusion, attention.
    for name, parameter in model.named_parameters():
        if name.endswith(("gamma_v", "gamma_l")):
            torch.nn.init.uniform_(parameter, 0.3, 0.6)
        elif "bbox_embed" in name or "sampling_offsets" in name or "attention_weights" in name:
            torch.nn.init.normal_(parameter, std=0.05)
        elif name.startswith(("bert.", "backbone.")) and parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.1)
    state = {name: tensor.clone().contiguous() for name, tensor in model.state_dict().items()}
    save_file(state, folder / "model.safetensors")
    published = {f"module.{name}": tensor for name, tensor in state.items()}
    torch.save({"model": published | {"module.label_enc.weight": torch.zeros(2, 2)}},
               folder / "model.pth")  # fmt: skip
    del published["module.feat_map.bias"]
    torch.save({"model": published}, folder / "incomplete.pth")
    torch.save({"model": state, "args": Path()}, folder / "pickled.pth")


def detect(folder: Path, checkpoint: str) -> None:
    target = f"{folder / 'config.py'},{folder / checkpoint}"
    options = Options(**json.loads((folder / "options.json").read_text()))
    detector = open_backend(target, f"groundingdino-py:{checkpoint}", options)
    images = dict(np.load(folder / "images.npz", allow_pickle=False))
    phrases = json.loads((folder / "phrases.json").read_text())
    write_table(detector.detect(images, phrases).data, folder / f"{checkpoint}.parquet")


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(Path(sys.argv[2]))
    else:
        detect(Path(sys.argv[2]), sys.argv[3])
