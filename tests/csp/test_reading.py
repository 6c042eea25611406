"""Confidences read from probabilities: as trees and one by one, on every shape of VLM."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from spatialtrust.backends.tabletop import CHECKPOINTS, render, sample_scene  # noqa: E402
from spatialtrust.csp import reading  # noqa: E402
from spatialtrust.csp.dry_run import SHAPES, write_random  # noqa: E402
from spatialtrust.csp.loader import open_vlm  # noqa: E402
from spatialtrust.csp.scales import SCALES, scale_named  # noqa: E402
from spatialtrust.errors import BackendError, InputError  # noqa: E402

QUESTIONS = ("Is the red cube left of the blue ball?", "Is the mug on the cone?")


@pytest.fixture(scope="module")
def blip2():
    vlm = open_vlm("tabletop:blip2")
    vlm.model.eval()
    return vlm


@pytest.fixture(scope="module")
def pictures():
    return [render(sample_scene(seed)) for seed in (1, 2)]


@pytest.mark.parametrize("name", SCALES)
def test_a_tree_reads_what_single_rows_read(blip2, pictures, name):
    scale = scale_named(name)
    replies = [reply for answer in reading.ANSWERS for reply in scale.replies(answer)]
    said = [blip2.reply_ids(reply)[:-1] for reply in replies]
    prompts = [blip2.prompt(text, "") for text in (*QUESTIONS, QUESTIONS[0])]
    owner = [0, 1, 1]
    with torch.inference_mode():
        trees = reading._as_trees(blip2, pictures, owner, prompts, said)
        rows = reading._one_by_one(blip2, pictures, owner, prompts, replies, trees.shape[2])
    inside = np.arange(trees.shape[2]) < np.array([len(ids) for ids in said])[:, None]
    assert np.abs(np.where(inside, trees - rows, 0)).max() < 1e-3


def test_p_yes_is_that_of_the_backend(blip2, pictures):
    from spatialtrust.backends.registry import open_asker
    from spatialtrust.tables import Claims

    claim = {"claim_id": "0", "image_id": "a", "subject": "red cube", "relation": "left of"}
    claims = Claims.from_rows([{**claim, "object": "blue ball"}])
    theirs = open_asker("tabletop:blip2").ask({"a": pictures[0]}, claims)
    prompt = blip2.prompt(QUESTIONS[0], "")
    ours = reading.read_confidence(blip2, pictures[:1], [0], [prompt], scale_named("percent"))
    # The backend sums over spellings ("Yes", " yes" ...), of which this model was taught one.
    assert ours.p_yes[0] == pytest.approx(theirs.numbers("p_yes")[0], abs=0.01)


def test_the_confidence_is_the_mean_of_the_words_given_the_answer():
    scale = scale_named("words")
    words = np.log(np.array([0.1, 0.2, 0.3, 0.2, 0.1]))
    logp = np.stack([np.r_[np.log(0.25), words[::-1]], np.r_[np.log(0.5), words]])[None]
    found = reading._reading(logp, scale)
    assert found.p_yes[0] == pytest.approx(2 / 3)
    assert found.answer[0] == 1
    chance = np.exp(words) / np.exp(words).sum()
    assert found.stated[0] == pytest.approx(chance @ np.array(scale.values))
    assert found.likeliest[0] == pytest.approx(0.75)
    assert found.mass[0] == pytest.approx(0.9)


def test_no_questions_no_answers(blip2):
    assert len(reading.read_confidence(blip2, [], [], [], scale_named("percent")).stated) == 0


@pytest.mark.parametrize("shape", SHAPES)
def test_a_vlm_in_the_shape_of_a_real_one_is_read_and_gets_gradients(shape, tmp_path, pictures):
    vlm = open_vlm(write_random(shape, tmp_path))
    scale = scale_named("grades")
    prompts = [vlm.prompt(text, scale.instruction) for text in QUESTIONS]
    found = reading.read_confidence(vlm, pictures, [0, 1], prompts, scale)
    assert np.isfinite(found.stated).all()
    assert ((found.stated >= 0.5) & (found.stated <= 1)).all()
    # What is said depends on the picture.
    other = reading.read_confidence(vlm, pictures, [1, 0], prompts, scale)
    assert (other.p_yes != found.p_yes).any()
    scored = vlm.score(pictures, [0, 1], prompts, [" yes, grade A", " no, grade D"])
    scored.total.sum().backward()
    moved = {name for name, weight in vlm.model.named_parameters() if weight.grad is not None}
    assert any("visual" in name or "vision" in name for name in moved)


def test_replies_are_scored_alike_in_any_company(tmp_path, pictures):
    for vlm in (open_vlm("tabletop:blip2"), open_vlm(write_random("llava", tmp_path))):
        prompts = [vlm.prompt(text, "") for text in QUESTIONS]
        replies = [" yes, 75%", " no, 100%"]
        with torch.inference_mode():
            both = vlm.score(pictures, [0, 1], prompts, replies).total
            alone = [
                float(vlm.score([pictures[i]], [0], [prompts[i]], [replies[i]]).total[0])
                for i in (0, 1)
            ]
        assert both.tolist() == pytest.approx(alone, abs=2e-3)


def test_what_writes_no_text_is_refused(tmp_path):
    with pytest.raises(InputError, match="no language head"):
        open_vlm("tabletop:clip")
    with pytest.raises(InputError, match="no language head"):
        open_vlm(str(CHECKPOINTS / "grounding-dino"))
    with pytest.raises(BackendError, match="neither a folder nor in the local cache"):
        open_vlm("blip2:nobody/nothing")
    with pytest.raises(BackendError, match=r"no readable config\.json"):
        open_vlm(str(tmp_path))
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(BackendError, match=r"no readable config\.json"):
        open_vlm(str(tmp_path))
