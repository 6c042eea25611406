"""What of the groundingdino-py backend can be tested without the package; see also tests/slow."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from spatialtrust.backends.base import Options
from spatialtrust.backends.grounding_dino import original as groundingdino_py
from spatialtrust.backends.grounding_dino.original import (
    find_text_encoder,
    load_weights,
    open_backend,
    read_config,
    text_encoder_class,
)
from spatialtrust.errors import BackendError, FileError, InputError, MissingDependencyError
from tests.backends.tiny import bert_tokenizer


def test_a_configuration_is_read_as_literals(tmp_path: Path) -> None:
    file = tmp_path / "config.py"
    file.write_text('"""About."""\nhidden_dim = 256\nlevels = [1, 2]\nname = "swin"\nnone = None\n')
    assert read_config(file) == {
        "hidden_dim": 256, "levels": [1, 2], "name": "swin", "none": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    "text", ["import os\n", "a = open('x')\n", "a = b = 1\n", "a.b = 1\n", "print(1)\n", "a = (\n"]
)
def test_a_configuration_is_never_run(tmp_path: Path, text: str) -> None:
    file = tmp_path / "config.py"
    file.write_text(text)
    with pytest.raises(FileError, match="is not a configuration of literals"):
        read_config(file)


@pytest.mark.parametrize("target", ["", "config.py", "config.py,", ",weights.pth"])
def test_a_reference_needs_both_files(target: str) -> None:
    with pytest.raises(InputError, match="give configuration and checkpoint"):
        open_backend(target, f"groundingdino-py:{target}", Options())


def test_without_the_package_the_extra_is_named() -> None:
    if importlib.util.find_spec("groundingdino") is not None:
        pytest.skip("groundingdino-py is installed here")
    with pytest.raises(MissingDependencyError, match=re.escape("spatialtrust[groundingdino]")):
        open_backend("a.py,b.pth", "groundingdino-py:a.py,b.pth", Options())


def test_missing_files_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groundingdino_py, "find_spec", lambda _: importlib.util.find_spec("json"))
    config = tmp_path / "config.py"
    with pytest.raises(FileError, match=r"config\.py: does not exist"):
        open_backend(f"{config},b.pth", "groundingdino-py:...", Options())
    config.touch()
    with pytest.raises(FileError, match=r"b\.pth: does not exist"):
        open_backend(f"{config},b.pth", "groundingdino-py:...", Options())
    (tmp_path / "b.pth").write_bytes(b"weights")
    detector = open_backend(f"{config},{tmp_path / 'b.pth'}", "groundingdino-py:...", Options())
    assert detector.revision.startswith("sha256:")


def test_the_text_encoder_is_found_beside_configuration_or_checkpoint(tmp_path: Path) -> None:
    folder = tmp_path / "weights" / "bert-base-uncased"
    folder.mkdir(parents=True)
    folders = (tmp_path, tmp_path / "weights")
    with pytest.raises(BackendError, match=r"put config\.json.*bert-base-uncased into"):
        find_text_encoder("bert-base-uncased", folders)
    (folder / "config.json").write_text("{}")
    assert find_text_encoder("bert-base-uncased", folders) == folder
    assert find_text_encoder(str(folder), ()) == folder


def test_the_text_encoder_equals_berts_own_with_a_padding_mask() -> None:
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(bert_tokenizer()), hidden_size=32, num_hidden_layers=2,
        num_attention_heads=2, intermediate_size=64,
    )  # fmt: skip
    bert = BertModel(config).eval()
    ours = text_encoder_class()(bert)
    ids = torch.randint(1, 1000, (3, 7))
    allowed = torch.tensor([[1] * 7, [1] * 5 + [0] * 2, [1] * 3 + [0] * 4])
    inputs = {
        "input_ids": ids,
        "token_type_ids": torch.zeros_like(ids),
        "position_ids": torch.arange(7)[None],
    }
    with torch.no_grad():
        expected = bert(attention_mask=allowed, **inputs).last_hidden_state
        padded = ours(attention_mask=allowed, **inputs)["last_hidden_state"]
        pairs = allowed[:, None, :].expand(-1, 7, -1).bool()
        by_pairs = ours(attention_mask=pairs, **inputs)["last_hidden_state"]
    torch.testing.assert_close(padded, expected)
    torch.testing.assert_close(by_pairs, expected)
    assert set(ours.state_dict()) == set(bert.state_dict())


def test_a_phrase_never_sees_another_one() -> None:
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    bert = BertModel(BertConfig(
        vocab_size=50, hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=64,
    )).eval()  # fmt: skip
    blocks = torch.block_diag(torch.ones(3, 3), torch.ones(2, 2)).bool()[None]
    ids = torch.tensor([[1, 2, 3, 4, 5]])
    other = torch.tensor([[1, 2, 3, 9, 8]])
    with torch.no_grad():
        seen = [
            text_encoder_class()(bert)(
                input_ids=given,
                attention_mask=blocks,
                token_type_ids=torch.zeros_like(given),
                position_ids=torch.arange(5)[None],
            )["last_hidden_state"]
            for given in (ids, other)
        ]
    torch.testing.assert_close(seen[0][:, :3], seen[1][:, :3])
    assert not torch.allclose(seen[0][:, 3:], seen[1][:, 3:])


@pytest.fixture
def model() -> nn.Module:
    return nn.ModuleDict({"head": nn.Linear(2, 3)})


def test_weights_are_read_from_safetensors_and_from_published_checkpoints(
    model: nn.Module, tmp_path: Path
) -> None:
    state = {"head.weight": torch.rand(3, 2), "head.bias": torch.rand(3)}
    save_file(state, tmp_path / "a.safetensors")
    published = {f"module.{name}": tensor for name, tensor in state.items()}
    published["module.label_enc.weight"] = torch.zeros(1)
    torch.save({"model": published}, tmp_path / "b.pth")
    for name in ("a.safetensors", "b.pth"):
        nn.init.zeros_(model["head"].weight)
        load_weights(model, tmp_path / name)
        assert torch.equal(model["head"].weight, state["head.weight"])


def test_weights_that_do_not_fit_are_refused(model: nn.Module, tmp_path: Path) -> None:
    file = tmp_path / "a.pth"
    torch.save({"model": {"head.weight": torch.rand(3, 2)}}, file)
    with pytest.raises(BackendError, match=r"1 tensors are missing \(head.bias\)"):
        load_weights(model, file)
    state = {"head.weight": torch.rand(3, 2), "head.bias": torch.rand(3)}
    torch.save({**state, "neck": torch.rand(1)}, file)
    with pytest.raises(BackendError, match=r"1 have no place \(neck\)"):
        load_weights(model, file)
    torch.save({**state, "head.bias": torch.rand(4)}, file)
    with pytest.raises(BackendError, match="do not fit the configuration"):
        load_weights(model, file)
    torch.save([1, 2], file)
    with pytest.raises(BackendError, match="holds no model"):
        load_weights(model, file)


def test_a_pickle_is_never_run(model: nn.Module, tmp_path: Path) -> None:
    torch.save({"model": {}, "args": Path("x")}, tmp_path / "a.pth")
    with pytest.raises(BackendError, match="cannot be read as tensors alone"):
        load_weights(model, tmp_path / "a.pth")
