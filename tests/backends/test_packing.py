"""Prefix trees hold every sequence, once per common beginning; batches fit and survive failures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatialtrust.backends.batching import Budget
from spatialtrust.backends.packing import best_size, plant

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


@given(SEQUENCES)
def test_a_token_sees_its_ancestors_and_itself(sequences):
    (tree,) = plant(sequences, limit=10**6)
    visible = tree.visible()
    for node in range(len(tree)):
        wanted, at = set(), node
        while at >= 0:
            wanted.add(at)
            at = int(tree.parent[at])
        assert set(np.flatnonzero(visible[node])) == wanted


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
