"""Results in order, made ahead on threads; pixels are the library's own."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from spatialtrust.backends.ahead import ahead


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_results_come_in_order_and_errors_where_they_belong(threads: int) -> None:
    assert list(ahead(lambda n: n * n, range(50), threads)) == [n * n for n in range(50)]
    results = ahead(lambda n: 1 // (3 - n), range(9), threads)
    assert [next(results) for _ in range(3)] == [0, 0, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_work_runs_beside_its_use_and_only_a_few_results_wait() -> None:
    done: list[int] = []
    both = threading.Barrier(2, timeout=20)

    def work(n: int) -> int:
        if n < 2:
            both.wait()  # passes only if two run at once
        done.append(n)
        return n

    results = ahead(work, range(100), threads=2)
    assert next(results) == 0
    assert len(done) <= 6
    assert list(results) == list(range(1, 100))


@pytest.mark.parametrize("kind", ["clip", "opt"])
def test_pixels_prepared_one_by_one_are_those_of_the_librarys_processor(checkpoint, kind) -> None:
    torch = pytest.importorskip("torch")
    from spatialtrust.backends.loading import load_image_processor, locate
    from spatialtrust.backends.preparing import Preparer

    folder = checkpoint(kind)
    processor = load_image_processor(locate(str(folder), "model"))
    generator = np.random.default_rng(1)
    pixels = [generator.integers(0, 256, (40 + 9 * n, 61, 3), dtype=np.uint8) for n in range(5)]
    preparer = Preparer(processor, torch.device("cpu"), torch.float32)
    single = [preparer.batch([one]) for one in pixels]
    assert torch.equal(torch.cat(single), preparer.batch(pixels))
