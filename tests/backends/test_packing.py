"""Prefix trees hold every sequence, once per common beginning; batches fit and survive failures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from spatialtrust.backends.batching import Budget  # noqa: E402
from spatialtrust.backends.layout import lay  # noqa: E402
from spatialtrust.backends.packing import Forest, best_size, plant  # noqa: E402

SEQUENCES = st.lists(
    st.lists(st.integers(0, 3), min_size=1, max_size=6).map(tuple), min_size=1, max_size=12
)


@given(SEQUENCES, st.integers(1, 20))
def test_every_sequence_is_a_path(sequences, limit):
    trees = plant(sequences, limit)
    found = {}
    for tree in trees:
        for sequence, path, length in zip(tree.sequences, tree.paths, tree.lengths, strict=True):
            nodes = path[:length]
            assert (path[length:] == -1).all()
            assert tree.parent[nodes[0]] == -1
            np.testing.assert_array_equal(tree.parent[nodes[1:]], nodes[:-1])
            np.testing.assert_array_equal(tree.depth[nodes], np.arange(length))
            found[int(sequence)] = tuple(tree.tokens[nodes].tolist())
        np.testing.assert_array_equal(
            tree.leaves, [p[n - 1] for p, n in zip(tree.paths, tree.lengths, strict=True)]
        )
    assert [found[place] for place in range(len(sequences))] == sequences


@given(SEQUENCES)
def test_a_tree_without_limit_holds_each_beginning_once(sequences):
    (tree,) = plant(sequences, limit=10**6)
    beginnings = {s[:n] for s in sequences for n in range(1, len(s) + 1)}
    assert len(tree) == len(beginnings)


@given(SEQUENCES, st.integers(1, 20))
def test_trees_stay_within_the_limit(sequences, limit):
    for tree in plant(sequences, limit):
        assert len(tree) <= max(limit, tree.lengths.max())


def ancestors(tree, node):
    """A node and all above it."""
    found = set()
    while node >= 0:
        found.add(node)
        node = int(tree.parent[node])
    return found


@given(SEQUENCES, st.integers(1, 20))
def test_below_a_node_are_the_numbers_up_to_its_end(sequences, limit):
    for tree in plant(sequences, limit):
        for node in range(len(tree)):
            above = {u for u in range(node + 1) if node < tree.end[u]}
            assert above == ancestors(tree, node)


@given(st.lists(SEQUENCES, min_size=1, max_size=4), st.integers(1, 20))
def test_what_several_owners_plant_at_once_is_what_each_plants_alone(sets, limit):
    owner = [place for place, sequences in enumerate(sets) for _ in sequences]
    trees = plant([s for sequences in sets for s in sequences], limit, owner)
    alone = [tree for sequences in sets for tree in plant(sequences, limit)]
    for tree, other in zip(trees, alone, strict=True):
        assert len({owner[number] for number in tree.sequences}) == 1
        for name in ("tokens", "depth", "parent", "end", "paths", "lengths"):
            np.testing.assert_array_equal(getattr(tree, name), getattr(other, name))


@given(
    st.lists(st.tuples(SEQUENCES, st.integers(0, 3)), min_size=1, max_size=4),
    st.randoms(use_true_random=False),
)
def test_in_a_batch_a_token_sees_its_prefix_its_ancestors_and_itself(given, random):
    trees = [plant(sequences, 10**6)[0] for sequences, _ in given]
    prefix = [length for _, length in given]
    last = [
        np.array(random.sample(range(len(tree)), random.randint(0, len(tree))), dtype=np.int64)
        for tree in trees
    ]
    rows = lay(trees, torch.device("cpu"), prefix=prefix, last=last)
    for row, tree in enumerate(trees):
        places = rows.places[row, : len(tree)]
        assert rows.tokens[row, places].tolist() == tree.tokens.tolist()
        assert rows.positions[row, places].tolist() == (tree.depth + prefix[row]).tolist()
        ending = rows.tokens.shape[1] - len(last[row])
        assert places[last[row]].tolist() == list(range(ending, rows.tokens.shape[1]))
        for node in range(len(tree)):
            seen = set(np.flatnonzero(rows.visible[row, places[node]]).tolist())
            above = {max(prefix) + int(places[u]) for u in ancestors(tree, node)}
            assert seen == set(range(prefix[row])) | above
    assert rows.visible.any(dim=2).all(), "a row of a mask without any entry has no softmax"


@given(st.lists(st.sets(st.integers(0, 5), min_size=1), min_size=1, max_size=5))
def test_pictures_that_are_asked_the_same_texts_share_trees(asked):
    tokens = [(1, 2), (1, 3), (1, 2, 4), (5,), (5, 1), (1, 2, 4, 4)]
    picture = np.array([place for place, texts in enumerate(asked) for _ in texts])
    text = np.array([number for texts in asked for number in texts])
    rows, forest = np.arange(len(text)), Forest()
    for _ in range(2):
        jobs = forest.jobs(rows, picture, text, tokens, 4)
        found = {}
        for job in jobs:
            for ask, path, length in zip(job.asks, job.tree.paths, job.tree.lengths, strict=True):
                assert picture[ask] == job.picture
                found[int(ask)] = tuple(job.tree.tokens[path[:length]].tolist())
        assert found == {ask: tokens[number] for ask, number in enumerate(text.tolist())}
    same = {frozenset(texts) for texts in asked}
    trees = {id(job.tree) for job in jobs}
    assert len(trees) == sum(len(plant([tokens[t] for t in sorted(texts)], 4)) for texts in same)
    assert {id(job.tree) for job in forest.jobs(rows, picture, text, tokens, 4)} == trees


def test_no_sequences_no_trees():
    assert plant([], 10) == []


@given(st.integers(8, 8192), st.integers(1, 64))
def test_the_best_size_costs_no_more_than_its_neighbours(width, shared):
    def overhead(length):
        return shared / length + length / (6 * width)

    best = best_size(width, shared)
    if 64 < best < 1024:
        assert overhead(best) <= min(overhead(best - 2), overhead(best + 2)) + 1e-12


@given(st.lists(st.floats(0.1, 10), max_size=20), st.floats(0.1, 30))
def test_batches_keep_order_and_fit(costs, memory):
    done = []
    assert Budget(memory).run(costs, done.append) == {}
    assert [place for group in done for place in group] == list(range(len(costs)))
    for group in done:
        assert len(group) == 1 or max(costs[p] for p in group) * len(group) <= memory


def test_short_items_are_not_padded_to_long_ones_unless_they_are_few():
    groups = []
    Budget(1600.0).run([10.0] * 30 + [40.0] * 30, groups.append)
    assert [len(group) for group in groups] == [30, 30]
    groups.clear()
    Budget(1600.0).run([10.0] * 3 + [40.0] * 30, groups.append)
    assert [len(group) for group in groups] == [33]


@pytest.mark.parametrize("error", [RuntimeError("CUDA out of memory"), MemoryError()])
def test_out_of_memory_halves_the_budget_for_good_and_says_so(error, caplog):
    sizes = []

    def forward(group):
        if len(group) > 3:
            raise error
        sizes.append(len(group))

    budget = Budget(16.0)
    assert budget.run([1.0] * 16, forward) == {}
    assert sum(sizes) == 16
    assert budget.memory < 4
    assert "out of memory with 16 items" in caplog.text


def test_what_fails_alone_has_a_status_and_the_others_are_done():
    done = []

    def forward(group):
        if 5 in group:
            raise ValueError("bad pixels")
        if 7 in group:
            raise MemoryError
        done.extend(group)

    failures = Budget(100).run([1.0] * 10, forward)
    assert failures == {5: "failed: ValueError: bad pixels", 7: "out_of_memory"}
    assert sorted(done) == [0, 1, 2, 3, 4, 6, 8, 9]


def test_an_interrupt_is_not_swallowed():
    def forward(group):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Budget(1).run([1.0], forward)
