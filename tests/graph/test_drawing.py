from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spatialtrust.decision.rule import DecisionRule
from spatialtrust.errors import InputError
from spatialtrust.graph import SceneGraph
from spatialtrust.graph import drawing as render
from spatialtrust.graph.arrows import MAX_ARROWS, MAX_CUT, MAX_PER_OBJECT, choose_arrows
from spatialtrust.graph.canvas import Canvas, Rect
from spatialtrust.graph.drawing import draw, draw_claim, encode
from spatialtrust.graph.lettering import font
from spatialtrust.graph.naming import display_names
from tests.helpers.graphs import detections, graph, verdicts

EDGES = [("o0", "left of", "o1", 0.95), ("o1", "left of", "o2", 0.85), ("o1", "above", "o2", 0.6)]


def plain(width: int = 640, height: int = 480) -> np.ndarray:
    return np.full((height, width, 3), 128, dtype=np.uint8)


@pytest.mark.parametrize(("width", "height"), [(128, 96), (640, 480), (3840, 2160), (50, 900)])
def test_every_size_of_image_gets_a_picture_with_a_panel(width: int, height: int) -> None:
    picture = draw(plain(width, height), graph(EDGES))
    assert picture.dtype == np.uint8
    scale = max(1.0, render.SMALLEST_SIDE / min(width, height))
    assert picture.shape[1] == round(width * scale)
    assert picture.shape[0] > round(height * scale)
    assert encode(picture)[:3] == b"\xff\xd8\xff"


def test_the_given_pixels_are_not_drawn_on() -> None:
    pixels = plain()
    draw(pixels, graph(EDGES))
    assert (pixels == 128).all()


def test_line_styles_differ_in_grey_too() -> None:
    def line(answer: int, p_true: float) -> np.ndarray:
        found = graph([("o0", "left of", "o1", p_true)], answers=[answer])
        return draw(plain(), found)[:480].mean(axis=2)

    kept, corrected, pruned = line(1, 0.9), line(0, 0.9), line(1, 0.6)
    for one, other in ((kept, corrected), (kept, pruned), (corrected, pruned)):
        assert (np.abs(one - other) > 20).sum() > 30


def test_objects_of_one_phrase_are_numbered() -> None:
    assert display_names(graph([])) == {"o0": "mug o0", "o1": "kettle", "o2": "mug o2"}


def boxes_of(found: SceneGraph) -> dict:
    ids = found.objects.strings("object_id")
    return dict(zip(ids, found.objects.boxes().astype(np.float64), strict=True))


def test_relations_of_two_objects_share_an_arrow_whichever_way_they_were_said() -> None:
    found = graph([("o0", "left of", "o1", 0.95), ("o1", "above", "o0", 0.9)])
    (arrow,) = choose_arrows(found, boxes_of(found))
    assert (arrow.subject_id, arrow.relations) == ("o0", ("left of", "below"))


def test_a_crowded_graph_is_drawn_in_part() -> None:
    names = ["pea"] * 20
    rows = [(f"o{a}", "left of", f"o{b}", 0.6 + 0.01 * a) for a in range(20) for b in range(a)]
    found = SceneGraph.build(
        "a.jpg",
        (640, 480),
        detections(names),
        verdicts(rows, threshold=0.7),
        DecisionRule.plain(0.7),
    )
    arrows = choose_arrows(found, boxes_of(found))
    cut = [arrow for arrow in arrows if arrow.style == "cut"]
    assert len(cut) <= MAX_CUT
    assert len(arrows) - len(cut) == MAX_ARROWS
    ends = [end for arrow in arrows for end in (arrow.subject_id, arrow.object_id)]
    assert max(ends.count(end) for end in ends) <= MAX_PER_OBJECT


def test_tags_do_not_cover_each_other_while_there_is_room(monkeypatch) -> None:
    seen: list[Rect] = []
    free = Canvas.free

    def remembering(*given, **options):
        seen.append(free(*given, **options))
        return seen[-1]

    monkeypatch.setattr(Canvas, "free", remembering)
    small = graph(EDGES, ["kettle", "kettle", "kettle"])
    boxes = {name: small.objects.numbers(name) * 6 for name in ("x1", "y1", "x2", "y2")}
    draw(plain(), replace(small, objects=small.objects.with_columns(boxes)))
    assert len(seen) > 3
    for place, one in enumerate(seen):
        assert all(one.overlap(other) == 0 for other in seen[:place])
        assert one.outside(640, 480) == 0


def test_objects_around_one_point_and_empty_graphs_can_be_drawn() -> None:
    same = detections(["a", "b"]).with_columns(
        {"x1": np.float32([5, 7]), "x2": np.float32([15, 13])}
    )
    found = SceneGraph.build(
        "a.jpg", (640, 480), same, verdicts([("o0", "above", "o1", 0.9)]), DecisionRule.plain(0.8)
    )
    assert draw(plain(), found).shape[1] == 640
    assert draw(plain(), graph([], [])).shape[1] == 640


def test_a_claim_is_drawn_with_its_words_and_without_a_verdict() -> None:
    boxes = (np.array([10.0, 10, 90, 90]), np.array([200.0, 50, 300, 200]))
    picture = draw_claim(plain(), boxes, ("mug", "left of", "kettle"))
    assert picture.shape[0] > 480
    assert (picture[480:] < 60).any()


def test_texts_are_written_where_pillow_writes_them_on_the_whole_picture() -> None:
    from PIL import Image, ImageDraw

    pixels = np.random.default_rng(0).integers(0, 256, (90, 200, 3), dtype=np.uint8)
    texts = [(3.3, 20.7, "mug#1", (0, 0, 0)), (150.5, 80.2, "over the edge", (255, 0, 9)),
             (-8.0, 2.0, "gone", (9, 9, 9)), (400.0, 400.0, "far out", (1, 2, 3))]  # fmt: skip
    canvas = Canvas(pixels.copy(), 15, 2, list(texts))
    whole = Image.fromarray(pixels)
    pen = ImageDraw.Draw(whole)
    for x, y, text, colour in texts:
        pen.text((x, y), text, fill=colour, font=font(15), anchor="lm")
    np.testing.assert_array_equal(canvas.written(), np.asarray(whole))


def test_lines_of_a_text_fit_and_lose_no_word() -> None:
    canvas = Canvas(np.zeros((9, 9, 3), np.uint8), 15, 2)
    text = "mug left of (0.91), near (0.9) a  rather long name of a kettle"
    for room in (1, 60, 200, 5000):
        lines = canvas.wrapped(text, room)
        assert " ".join(lines).split() == text.split()
        assert all(" " not in line or canvas.text_width(line) <= room for line in lines)
    assert len(canvas.wrapped(text, 5000)) == 1


def test_other_pixels_are_refused() -> None:
    with pytest.raises(InputError, match="give uint8"):
        draw(np.zeros((4, 4), dtype=np.uint8), graph([]))


def test_relations_take_turns() -> None:
    rows = [(f"o{a}", "left of", f"o{a + 1}", 0.99) for a in range(0, 24, 2)]
    rows += [("o1", "above", "o3", 0.82), ("o5", "on", "o7", 0.85), ("o9", "left of", "o11", 0.97)]
    found = graph(rows, ["pea"] * 26)
    said = [arrow.relations[0] for arrow in choose_arrows(found, boxes_of(found))]
    assert said[:3] == ["on", "left of", "above"]
    assert len(said) == MAX_ARROWS


def test_what_was_cut_says_what_it_lacks_and_never_looks_kept(monkeypatch) -> None:
    texts: list[str] = []
    written = Canvas.written

    def remembering(canvas: Canvas) -> np.ndarray:
        texts.extend(text for _, _, text, _ in canvas.texts)
        return written(canvas)

    monkeypatch.setattr(Canvas, "written", remembering)
    draw(plain(), graph([("o0", "above", "o1", 0.799), ("o0", "left of", "o2", 0.9)]))
    assert "mug o0 above (0.799) kettle: too close to call" in texts
    assert "mug o0 left of (0.90) mug o2" in texts


@pytest.mark.parametrize("count", [0, 1, 2, 15, 400])
def test_any_number_of_objects_is_drawn_and_counted(monkeypatch, count: int) -> None:
    texts: list[str] = []
    written = Canvas.written

    def remembering(canvas: Canvas) -> np.ndarray:
        texts.extend(text for _, _, text, _ in canvas.texts)
        return written(canvas)

    monkeypatch.setattr(Canvas, "written", remembering)
    claims = [("o0", "left of", "o1", 0.9)] if count > 1 else []
    picture = draw(plain(128, 96), graph(claims, ["pea"] * count))
    assert picture.shape[1] >= 480
    drawn = " (2 drawn)" if count > render.MOST_OBJECTS else ""
    assert any(text.startswith(f"objects: {count}{drawn}") for text in texts)
