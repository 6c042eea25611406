"""Training of the bundle: tokenizers that split, pixels as the processors make them, resumption."""

from __future__ import annotations

import json
import re
import runpy
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("transformers", reason="needs the extra hf")

import torch
from safetensors.torch import load_file

from spatialtrust.backends.tabletop import CHECKPOINTS
from spatialtrust.backends.tabletop.claims import draw_claims
from spatialtrust.backends.tabletop.scene import COLOURS, PHRASES, SHAPES
from spatialtrust.backends.tabletop.training import askers, detector, vocabulary
from spatialtrust.backends.tabletop.training.loop import train
from spatialtrust.backends.tabletop.training.manifest import NAME, hashes
from spatialtrust.backends.tabletop.training.pool import TRAINING_SEEDS, draw_pool, draw_pools
from spatialtrust.backends.tabletop.training.recipes import RECIPES, make
from spatialtrust.backends.tabletop.truth import RELATIONS
from spatialtrust.errors import FileError
from spatialtrust.questions.prompts import PARAPHRASES, alternatives, question

PIPELINE = Path(__file__).parents[2] / "pipelines" / "train_tabletop.py"


@pytest.fixture(scope="module")
def pool():
    return draw_pool(6, seed=0)


@pytest.mark.parametrize("name", [*COLOURS, *SHAPES])
def test_long_names_are_several_tokens_and_short_ones_are_one(name):
    counts = {
        len(vocabulary.bert().tokenize(name)),
        len(vocabulary.clip().tokenize(name)),
        len(vocabulary.opt().tokenize(f" {name}")),
    }
    assert counts == {1} if name in vocabulary.NAMES else min(counts) > 1


def test_delimiters_keep_the_ids_that_groundingdino_relies_on():
    ids = vocabulary.bert().convert_tokens_to_ids(["[CLS]", "[SEP]", ".", "?"])
    assert ids == [101, 102, 1012, 1029]


@pytest.mark.parametrize("relation", RELATIONS)
def test_every_word_of_a_prompt_is_known(relation):
    claim = ("red cube", relation, "blue ball")
    for prompt in PARAPHRASES:
        asked = f"Question: {question(claim, prompt)} Answer: yes no"
        words = re.findall(r"\w+|[^\w\s]", asked)
        assert len(vocabulary.opt().tokenize(asked)) == len(words)
        for text in alternatives(claim, prompt):
            words = re.findall(r"\w+|[^\w\s]", text)
            assert len(vocabulary.clip().tokenize(text)) == len(words)


@pytest.mark.parametrize("name", [*RECIPES])
def test_training_sees_the_pixels_that_the_processor_makes(name, pool):
    made = RECIPES[name].processor()(images=list(pool.pictures), return_tensors="pt")
    statistics = () if name == "grounding-dino" else (askers.MEAN, askers.DEVIATION)
    torch.testing.assert_close(
        detector.normalise(torch.from_numpy(pool.pictures), *statistics),
        made["pixel_values"],
        atol=1e-5,
        rtol=0,
    )


def test_training_scenes_are_not_those_that_are_measured(pool):
    assert min(scene.seed for scene in pool.scenes) >= TRAINING_SEEDS


def test_claims_are_labelled_with_the_truth_and_name_one_object_each(pool):
    generator = np.random.default_rng(0)
    labels = []
    for scene in pool.scenes:
        phrases = [item.phrase for item in scene.objects]
        for said in draw_claims(generator, scene, 40):
            subject, _, object_ = said.claim
            assert phrases.count(subject) == phrases.count(object_) == 1
            labels.append(said.label)
    assert 0.35 < np.mean(labels) < 0.65


def test_a_prompt_spells_its_phrases_as_the_tokenizer_does(pool):
    tokenizer = vocabulary.bert()
    lesson = detector.DetectorLesson(tokenizer, pool, 0, 4)
    batch = lesson.batch(3)
    for row in range(4):
        ids = batch.inputs["input_ids"][row]
        text = tokenizer.decode(ids[ids != 0]).replace(" .", ".")
        asked = text.removeprefix("[CLS] ").removesuffix(" [SEP]")
        assert tokenizer(asked)["input_ids"] == ids[ids != 0].tolist()
        names = asked.removesuffix(".").split(". ")
        assert set(names) <= set(PHRASES)
        for place, phrase in enumerate(names):
            spelled = ids[batch.phrases[row, place] > 0].tolist()
            assert spelled == tokenizer(phrase, add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize("name", [*RECIPES])
def test_a_resumed_run_ends_where_an_unbroken_one_does(name, pool, tmp_path):
    recipe = RECIPES[name]

    def run(folder, stops):
        weights = {}
        for stop in stops:
            tokenizer = recipe.tokenizer()
            model = recipe.build(tokenizer, 0)
            lesson = recipe.lesson(tokenizer, pool, 0, 2)
            broken = _Stop(lesson, stop)
            try:
                train(model, broken, steps=4, rate=1e-3, folder=folder, every=2, report=str)
            except KeyboardInterrupt:
                continue
            weights = {name: weight.detach() for name, weight in model.named_parameters()}
        return weights

    whole, parts = run(tmp_path / "whole", [9]), run(tmp_path / "parts", [3, 9])
    for key, weight in whole.items():
        torch.testing.assert_close(parts[key], weight, atol=1e-6, rtol=1e-5)


class _Stop:
    """A lesson that is interrupted at a step."""

    def __init__(self, lesson, step):
        self.lesson, self.step = lesson, step

    def batch(self, step):
        if step == self.step:
            raise KeyboardInterrupt
        return self.lesson.batch(step)

    def loss(self, model, batch):
        return self.lesson.loss(model, batch)


def test_losses_fall_on_a_scene_that_is_seen_again_and_again(tmp_path):
    pool = draw_pool(1, seed=0)
    tokenizer = vocabulary.bert()
    model = detector.build(tokenizer, 0)
    losses = []

    class Watched(detector.DetectorLesson):
        def loss(self, model, batch):
            found = super().loss(model, batch)
            losses.append(float(found[0].detach()))
            return found

    train(model, Watched(tokenizer, pool, 0, 2), steps=30, rate=2e-3, folder=tmp_path, report=str)
    assert np.mean(losses[-5:]) < 0.6 * np.mean(losses[:5])


@pytest.mark.parametrize("name", ["blip2", "clip"])
def test_workers_prepare_the_batches_that_one_process_does(name, tmp_path):
    recipe = RECIPES[name]
    tokenizer, pools = recipe.tokenizer(), [draw_pools(3, [4, 5], workers) for workers in (0, 2)]
    assert pools[0].scenes == pools[1].scenes
    np.testing.assert_array_equal(pools[0].pictures, pools[1].pictures)
    assert pools[0].scenes[3:] == draw_pool(3, 5).scenes
    weights = []
    for pool, workers in zip(pools, (0, 2), strict=True):
        model = recipe.build(tokenizer, 0)
        lesson = recipe.lesson(tokenizer, pool, 0, 2)
        folder = tmp_path / str(workers)
        train(model, lesson, steps=2, rate=1e-3, folder=folder, workers=workers, report=str)
        weights.append({name: weight.detach() for name, weight in model.named_parameters()})
    for key, weight in weights[0].items():
        torch.testing.assert_close(weights[1][key], weight, atol=1e-6, rtol=1e-5)


def test_a_picture_is_told_as_the_list_of_its_objects_from_left_to_right(pool):
    tokenizer = vocabulary.opt()
    batch = askers.Blip2Lesson(tokenizer, pool, 0, 3).batch(1)
    texts = [tokenizer.decode(row[row != 1]) for row in batch.tokens]
    told = [askers.from_left_to_right(scene) for scene in pool.scenes]
    lists = [text for text in texts if any(listed in text for listed in told)]
    assert len(lists) == 3, "one a picture"
    for scene, listed in zip(pool.scenes, told, strict=True):
        middle = {item.phrase: item.box[0] + item.box[2] for item in scene.objects}
        places = [middle[part.removeprefix("a ")] for part in listed.split(", ")]
        if len(middle) == len(scene.objects):
            assert places == sorted(places)
    assert batch.asked.sum() == 3 * askers.QUESTIONS
    said = (batch.labels[~batch.asked] != -100).sum(dim=1)
    assert (said > 4).all(), "captions are said whole"
    assert ((batch.labels[batch.asked] != -100).sum(dim=1) == 1).all(), "a reply is one token"


def test_a_run_goes_on_from_given_weights_and_refuses_others(tmp_path):
    recipe = replace(RECIPES["blip2"], scenes=4, pools=(1, 0), steps=1, pictures=2, rate=1e-6)
    shipped = CHECKPOINTS / "blip2" / "model.safetensors"
    how = {"seed": 0, "recipe": recipe, "device": "cpu", "report": str}
    make("blip2", state=tmp_path / "state", to=tmp_path / "out", start=shipped, **how)
    torch.set_flush_denormal(False)
    made, given = (load_file(path) for path in (tmp_path / "out" / "model.safetensors", shipped))
    assert made.keys() == given.keys()
    assert {value.dtype for value in made.values()} == {torch.float16}
    for name, value in given.items():
        torch.testing.assert_close(made[name], value, atol=2e-3, rtol=2e-3)
    for other in (CHECKPOINTS / "clip" / "model.safetensors", tmp_path / "none.safetensors"):
        with pytest.raises(FileError, match=other.name):
            make("blip2", state=tmp_path / "s", to=tmp_path / "o", start=other, **how)


def test_the_short_run_writes_a_bundle_that_the_package_opens(tmp_path, monkeypatch):
    arguments = ["--short", "--out", tmp_path / "out", "--state", tmp_path / "state"]
    monkeypatch.setattr(sys, "argv", [str(PIPELINE), *map(str, arguments)])
    threads = torch.get_num_threads()
    try:
        runpy.run_path(str(PIPELINE), run_name="__main__")
    finally:
        torch.set_num_threads(threads)
        torch.set_flush_denormal(False)
    manifest = json.loads((tmp_path / "out" / NAME).read_text("utf-8"))
    assert manifest["files"] == hashes(tmp_path / "out")
    assert {path.partition("/")[0] for path in manifest["files"]} == set(RECIPES)
    assert set(manifest["figures"]) == {"scenes_per_difficulty", *RECIPES}
