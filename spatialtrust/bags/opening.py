"""Opens a bag, whatever kind it is."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from spatialtrust.bags import mcap_files, ros1_files, ros2_folders, sqlite_files
from spatialtrust.bags.reading import Bag, Lost, read_through
from spatialtrust.errors import FileError


def open_bag(path: str | Path) -> Bag:
    """Open a bag, whatever kind it is; its first bytes tell.

    Parameters
    ----------
    path: ROS 1 bag, MCAP file, sqlite3 file of a ROS 2 bag, or folder of a ROS 2 bag.

    Raises
    ------
    FileError: it does not exist, is empty, or is no bag.
    MissingDependencyError: a package of the extra ``ros`` is not installed.
    """
    given = Path(path)
    if not given.exists():
        raise FileError(given, "does not exist", _GIVE)
    if given.is_dir():
        form, scan, summary = ros2_folders.opened(given)
    else:
        try:
            with given.open("rb") as stream:
                start = stream.read(16)
        except OSError as error:
            raise FileError(given, f"cannot be read ({error.strerror})", _GIVE) from error
        if not start:
            raise FileError(given, "is empty", _GIVE)
        if start.startswith(b"\x89MCAP"):
            form, scan, summary = mcap_files.opened(given)
        elif start.startswith(b"#ROSBAG V"):
            form, scan, summary = ros1_files.opened(given)
        elif start.startswith(b"SQLite format 3"):
            form, scan, summary = sqlite_files.opened(given)
        else:
            raise FileError(given, "is no bag: its first bytes are of no kind that is read", _GIVE)
    lost: list[Lost] = []
    indexed = summary is not None
    if summary is None:
        summary, lost = read_through(scan)
    return Bag(given, form, scan, summary, indexed, lost)


_GIVE: Final = "give a ROS 1 bag, an MCAP file, a .db3 file, or the folder of a ROS 2 bag"
