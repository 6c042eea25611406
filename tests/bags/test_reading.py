"""Bags of every kind are read alike, and damaged ones as far as they are whole."""

from __future__ import annotations

import bz2
import shutil
import sqlite3
import struct
from pathlib import Path

import numpy as np
import pytest
from mcap.writer import CompressionType, IndexType, Writer

from spatialtrust.bags import opening
from spatialtrust.bags.decoding import decoder_of
from spatialtrust.bags.opening import open_bag
from spatialtrust.bags.reading import Bag, Topic, in_words
from spatialtrust.bags.unpacking import TooLargeError, unpack
from spatialtrust.errors import FileError, InputError
from spatialtrust.jobs.moving_camera import BOXES, CAMERA, DEPTH, IMAGE

KINDS = ("mcap", "ros1", "sqlite3")


def _stamps(bag: Bag, topic: str = IMAGE) -> list[int]:
    return [message.log_time for message in bag.messages([topic])]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_holds_the_same(bags: dict[str, Path], kind: str) -> None:
    bag = open_bag(bags[kind])
    assert set(bag.topics) == {IMAGE, BOXES, DEPTH, CAMERA}
    assert bag.summary.counts == dict.fromkeys(bag.topics, 20)
    assert bag.seconds == pytest.approx(1.92)
    assert _stamps(bag) == _stamps(open_bag(bags["mcap"]))
    assert bag.lost == []
    read = decoder_of(bag.topics[IMAGE]).read
    picture = read(next(bag.messages([IMAGE])).data)
    assert (picture.width, picture.height, picture.encoding) == (96, 96, "rgb8")


@pytest.mark.parametrize("kind", ["mcap", "ros1"])
@pytest.mark.parametrize("share", [0.05, 0.3, 0.7, 0.97, 0.999])
def test_a_bag_that_breaks_off_is_read_as_far_as_it_is_whole(
    bags: dict[str, Path], tmp_path: Path, kind: str, share: float
) -> None:
    cut = tmp_path / bags[kind].name
    content = bags[kind].read_bytes()
    cut.write_bytes(content[: int(share * len(content))])
    bag = open_bag(cut)
    whole = _stamps(open_bag(bags[kind]))
    found = _stamps(bag)
    assert found == whole[: len(found)]
    assert len(found) >= int(20 * (share - 0.4))
    assert bag.lost
    assert "breaks off" in in_words(bag)[1]
    if kind == "ros1" and found and 0.1 < share < 0.95:
        assert bag.lost[0].seconds == pytest.approx(1.92 - bag.seconds, abs=0.5)


def test_what_a_chunk_lost_is_said_from_its_head(bags: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "one_chunk.mcap"
    with path.open("wb") as stream:
        writer = Writer(stream, chunk_size=1 << 30, compression=CompressionType.LZ4)
        writer.start()
        schema = writer.register_schema("x", "jsonschema", b"{}")
        channel = writer.register_channel("/x", "json", schema)
        noise = np.random.default_rng(0)
        for second in range(100):
            writer.add_message(channel, second * 10**9, noise.bytes(20_000), second * 10**9)
        writer.finish()
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    bag = open_bag(path)
    used = len(_stamps(bag, "/x"))
    assert 30 < used < 60
    assert bag.lost[0].seconds == pytest.approx(99 - (used - 1))


def test_of_a_folder_the_metadata_tells_what_is_lost(bags: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "drive"
    shutil.copytree(bags["sqlite3"], folder)
    file = next(folder.glob("*.db3"))
    content = file.read_bytes()
    file.write_bytes(content[: int(0.6 * len(content))])
    bag = open_bag(folder)
    used = _stamps(bag)
    assert 5 < len(used) < 20
    assert bag.lost[-1].exact
    assert bag.lost[-1].seconds == pytest.approx(1.92 - bag.seconds, abs=1e-6)


def test_a_bag_without_an_index_is_read_once_and_said(tmp_path: Path) -> None:
    path = tmp_path / "bare.mcap"
    with path.open("wb") as stream:
        writer = Writer(
            stream, index_types=IndexType.NONE, use_statistics=False, use_chunking=False,
            repeat_channels=False, repeat_schemas=False, use_summary_offsets=False,
        )  # fmt: skip
        writer.start()
        channel = writer.register_channel("/x", "json", 0)
        writer.add_message(channel, 5, b"{}", 5)
        writer.finish()
    bag = open_bag(path)
    assert (bag.indexed, bag.summary.counts) == (False, {"/x": 1})
    assert "no usable index" in in_words(bag)[0]


def test_a_ros1_bag_that_was_never_closed_is_read(bags: dict[str, Path], tmp_path: Path) -> None:
    content = bytearray(bags["ros1"].read_bytes())
    place = content.index(b"index_pos=") + len(b"index_pos=")
    content[place : place + 8] = bytes(8)
    path = tmp_path / "open.bag"
    path.write_bytes(content[: len(content) * 3 // 4])
    bag = open_bag(path)
    assert 10 < len(_stamps(bag)) < 20
    assert "never closed" in in_words(bag)[1]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"PK\x03\x04 no bag", "is no bag"),
        (b"#ROSBAG V1.2\n", None),
        (b"\x89MCAP0\r\n", None),
        (b"SQLite format 3\x00" + b"\xff" * 200, None),
    ],
)
def test_files_that_are_no_bags_are_refused_or_hold_nothing(
    tmp_path: Path, content: bytes, said: str | None
) -> None:
    path = tmp_path / "odd.bag"
    path.write_bytes(content)
    if said is not None:
        with pytest.raises(FileError, match=said):
            open_bag(path)
    else:
        bag = open_bag(path)
        assert not bag.topics
        assert bag.lost or not bag.indexed


def test_a_sqlite_file_of_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.db3"
    with sqlite3.connect(path) as file:
        file.execute("CREATE TABLE cups (id INTEGER)")
    with pytest.raises(FileError, match="no tables topics and messages"):
        open_bag(path)


def test_what_is_not_there_and_folders_of_nothing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="does not exist"):
        open_bag(tmp_path / "none.bag")
    with pytest.raises(FileError, match=r"holds no \.mcap or \.db3"):
        open_bag(tmp_path)


def test_names_in_metadata_never_leave_the_folder(bags: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "evil"
    folder.mkdir()
    (folder / "metadata.yaml").write_text(
        "rosbag2_bagfile_information:\n  relative_file_paths: ['../drive.mcap', '/etc/passwd']\n"
    )
    shutil.copy(bags["mcap"], tmp_path / "drive.mcap")
    with pytest.raises(FileError, match="not there"):
        open_bag(folder)


@pytest.mark.parametrize("text", ["", "[", "a: [1", "- 1", "rosbag2_bagfile_information: 3"])
def test_a_metadata_file_that_makes_no_sense_is_passed_over(
    bags: dict[str, Path], tmp_path: Path, text: str
) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    shutil.copy(bags["mcap"], folder / "drive.mcap")
    (folder / "metadata.yaml").write_text(text)
    assert len(_stamps(open_bag(folder))) == 20


def test_a_topic_that_is_not_there_lists_those_that_are(bags: dict[str, Path]) -> None:
    bag = open_bag(bags["mcap"])
    with pytest.raises(InputError, match="did you mean") as caught:
        bag.topic("/camera/image_rw")
    assert all(name in str(caught.value) for name in bag.topics)
    assert bag.topic("detections").name == BOXES


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("kind", ["mcap", "ros1"])
def test_flipped_bytes_never_raise(
    bags: dict[str, Path], tmp_path: Path, kind: str, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    content = np.frombuffer(bags[kind].read_bytes(), dtype=np.uint8).copy()
    content[generator.integers(20, len(content), 200)] ^= generator.integers(
        1, 255, 200, dtype=np.uint8
    )
    path = tmp_path / "flipped"
    path.write_bytes(content.tobytes())
    bag = open_bag(path)
    count = sum(1 for _ in bag.messages(bag.topics))
    assert count <= 80


def test_a_chunk_that_unpacks_to_more_than_a_record_is_refused() -> None:
    bomb = bz2.compress(bytes(50 << 20))
    with pytest.raises(TooLargeError):
        unpack(bomb, "bz2", limit=1 << 20)
    with pytest.raises(ValueError, match="not known"):
        unpack(b"", "brotli")


def test_a_chunk_that_says_it_is_huge_is_passed_over_and_said(
    bags: dict[str, Path], tmp_path: Path
) -> None:
    content = bytearray(bags["mcap"].read_bytes())
    place = content.index(b"\x06", 8 + 9)
    while content[place] != 6 or content[place + 7 : place + 9] != b"\0\0":
        place = content.index(b"\x06", place + 1)
    struct.pack_into("<Q", content, place + 9 + 16, 1 << 40)
    path = tmp_path / "huge.mcap"
    path.write_bytes(content)
    bag = open_bag(path)
    used = len(_stamps(bag))
    assert used <= 20
    assert opening.open_bag is open_bag


@pytest.mark.parametrize(
    ("topic", "said"),
    [
        (Topic("/x", "a/msg/B", "protobuf", "protobuf", b""), 'encoded as "protobuf"'),
        (Topic("/x", "my_msgs/msg/Thing", "cdr", "", b""), "holds no definition"),
        (Topic("/x", "", "cdr", "", b""), "of type unknown"),
        (Topic("/x", "a/msg/B", "cdr", "ros2msg", b"\xff\xfe"), "cannot be read"),
        (Topic("/x", "a/msg/B", "cdr", "ros2msg", b"import os; os.system('x')"), "cannot be read"),
        (Topic("/x\x1b[31m", "a", "cdr", "ros2idl", b"module {"), "cannot be read"),
    ],
)
def test_types_and_encodings_that_are_not_known_are_refused_by_name(
    topic: Topic, said: str
) -> None:
    with pytest.raises(InputError, match=said) as caught:
        decoder_of(topic)
    assert "\x1b" not in str(caught.value)


def test_stock_definitions_are_assumed_aloud() -> None:
    decoder = decoder_of(Topic("/d", "vision_msgs/msg/Detection2DArray", "cdr"))
    assert "stock one is assumed" in decoder.note
