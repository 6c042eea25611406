"""Mutated files into every reader: each is read, or refused by an error of the package.

    python -m benchmarks.fuzz --inputs 1000000 --work FOLDER [--seed N] [--only READER,READER]

Goes on where it was stopped with the same folder. Every input runs in a process of its own kind,
which may die or hang: the input that it was at is then a failure like one that raised something
else. Failures are kept in FOLDER/failures, to be put into tests/corpus when they are mended, and
are counted by reader and by the place in the code. Prints its figures as JSON.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import multiprocessing
import os
import random
import resource
import secrets
import shutil
import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path
from typing import Any, Final

CHUNK: Final = 500
"""Inputs of one process."""
LONGEST: Final = 30.0
"""Seconds that an input may take."""
MOST_BYTES: Final = 3 << 30
"""Address space of data that a process may take; libraries take about half of it."""


def main() -> None:
    """Run, or go on, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=1e9)
    parser.add_argument("--work", type=Path, default=None)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    work = given.work or Path(tempfile.mkdtemp(prefix="fuzz-"))
    print(json.dumps(fuzz(work, given.inputs, given.seconds, given.seed, given.only), indent=1))


def fuzz(
    work: Path, inputs: int, seconds: float = 1e9, seed: int | None = None, only: str = ""
) -> dict[str, Any]:
    """Run mutated inputs until so many are done in all, or the time is over."""
    (work / "failures").mkdir(parents=True, exist_ok=True)
    file = work / "state.json"
    state: dict[str, Any] = {"seed": secrets.randbits(32) if seed is None else seed, "done": 0,
                             "counts": {}, "failures": {}}  # fmt: skip
    if file.exists():
        state = json.loads(file.read_text(encoding="utf-8"))
    _warm(only)
    counts, failures = Counter(state["counts"]), Counter(state["failures"])
    end = time.monotonic() + seconds
    while state["done"] < inputs and time.monotonic() < end:
        size = min(CHUNK, inputs - state["done"])
        done, found, failed = _chunk(work, state["seed"], state["done"], size, only)
        state["done"] += done
        counts.update(found)
        failures.update(failed)
        state |= {"counts": dict(counts), "failures": dict(failures)}
        unfinished = file.with_suffix(".unfinished")
        unfinished.write_text(json.dumps(state, indent=1), encoding="utf-8")
        unfinished.replace(file)
    return state


def _warm(only: str) -> None:
    """Read the sound files of every reader, so that processes find all loaded."""
    from tests.helpers.fuzzing import READERS, outcome, seeds_of

    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        for name in READERS:
            if _wanted(name, only):
                for content in seeds_of(name):
                    outcome(name, content, Path(folder))
        logging.disable(logging.NOTSET)


def _wanted(name: str, only: str) -> bool:
    return not only or name in only.split(",")


def _chunk(
    work: Path, seed: int, start: int, size: int, only: str
) -> tuple[int, Counter[str], Counter[str]]:
    """Some inputs in a process of their own; how many, what came of them, and where they failed."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(theirs, work, seed, start, size, only))
    process.start()
    theirs.close()
    counts: Counter[str] = Counter()
    failures: Counter[str] = Counter()
    done = 0
    current: tuple[str, bytes] = ("", b"")
    how = "died"
    while True:
        if not ours.poll(LONGEST):
            how = "hung"
            process.kill()
            break
        try:
            said = ours.recv()
        except EOFError:
            break
        if said[0] == "begin":
            current = said[1], said[2]
            continue
        done += 1
        _, name, result, place = said
        counts[f"{name}:{result}"] += 1
        if result == "failed":
            failures[f"{name}: {place}"] += 1
            _keep(work, name, current[1])
    process.join()
    if done < size:
        name, content = current
        counts[f"{name}:{how}"] += 1
        failures[f"{name}: {how}, exit code {process.exitcode}"] += 1
        _keep(work, name, content)
        done += 1
    return done, counts, failures


def _work(pipe: Any, work: Path, seed: int, start: int, size: int, only: str) -> None:
    from tests.helpers.fuzzing import READERS, outcome, seeds_of
    from tests.helpers.mutation import mutated

    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_BYTES, MOST_BYTES))
    names = [name for name, reader in READERS.items() for _ in range(reader.weight)]
    names = [name for name in names if _wanted(name, only)]
    where = "/dev/shm" if Path("/dev/shm").is_dir() else None
    folder = Path(tempfile.mkdtemp(prefix="fuzz-", dir=where))
    try:
        for number in range(start, start + size):
            rng = random.Random(f"{seed}-{number}")
            name = rng.choice(names)
            content = mutated(seeds_of(name), rng, READERS[name].ending)
            pipe.send(("begin", name, content))
            try:
                pipe.send(("end", name, outcome(name, content, folder), ""))
            except BaseException as error:
                pipe.send(("end", name, "failed", _place(error)))
            if number % 50 == 0:
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir(exist_ok=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _place(error: BaseException) -> str:
    """Kind of error, and the last line of ours that it came through."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "/spatialtrust/" in frame.filename] or list(frames)
    at = f"{ours[-1].filename.rpartition('/spatialtrust/')[2]}:{ours[-1].lineno}"
    return f"{type(error).__name__} at {at}: {str(error)[:80]!r}"


def _keep(work: Path, name: str, content: bytes) -> None:
    from tests.helpers.fuzzing import READERS

    if name not in READERS:
        return
    digest = hashlib.sha256(content).hexdigest()[:16]
    folder = work / "failures" / name
    folder.mkdir(exist_ok=True)
    if len(list(folder.iterdir())) < 500:
        (folder / f"{digest}{READERS[name].ending}").write_bytes(content)


if __name__ == "__main__":
    main()
