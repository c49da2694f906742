"""Arrays of an .npz file row by row: read in bounded memory, and written in pieces that were compressed apart."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, BinaryIO

import numpy as np
from numpy.lib import format as npy

# Level 6 is NumPy's.
_LEVEL = 6
# An empty last block: what ends a stream of deflate whose pieces all claim that more is to come.
_END = b"\x03\x00"
# In the headers of entries: no flags, deflate, and the first day of zip's calendar, as no file may depend on the time.
_METHOD = (0, 8, 0, 1 << 5 | 1)
# What zipfile and zlib raise for damaged files; RuntimeError where one is encrypted.
_DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError)
# What an .npy file of version 1.0 begins with, and then the length of the header in two bytes.
_MAGIC = b"\x93NUMPY\x01\x00"
# NumPy's own reader evaluates the header as Python, which threads cannot do at the same time in Python 3.11.
_HEADER = re.compile(r"{'descr': '([^']*)', 'fortran_order': (True|False), 'shape': \(([\dL, ]*)\),? *}\s*")


@dataclass(frozen=True)
class Member:
    """An array of the file: its name, and the type and shape of its rows."""

    name: str
    dtype: np.dtype
    row: tuple[int, ...]

    @property
    def row_bytes(self) -> int:
        return self.dtype.itemsize * int(np.prod(self.row))


class NpzReader:
    """A file that holds just `members`, all with `rows` rows; a context, from which each is read from its first row on.

    Raises:
        ValueError: naming the file, the rule that it breaks and what was found; also where it is read, and on leaving
            the context, so that damage is reported wherever it is found. Nothing is unpickled.
        OSError: it cannot be read.
    """

    def __init__(self, path: str | os.PathLike[str], members: Sequence[Member]) -> None:
        self._path = path
        self._members = {member.name: member for member in members}
        with self._explained(), contextlib.ExitStack() as stack:
            archive = stack.enter_context(zipfile.ZipFile(path))
            _check_entries(archive, [f"{name}.npy" for name in self._members])
            self._files = {name: stack.enter_context(archive.open(f"{name}.npy")) for name in self._members}
            rows = {name: _read_header(file, self._members[name]) for name, file in self._files.items()}
            if len(set(rows.values())) != 1:
                what = " and ".join(f"{count} {name}" for name, count in rows.items())
                raise ValueError(f"it must hold as many of each, got {what}")
            self.rows = next(iter(rows.values()))
            self._left = dict(rows)
            self._close = stack.pop_all().close

    def __enter__(self) -> NpzReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def read(self, name: str, rows: int) -> np.ndarray:
        """The next rows of an array, not writable: so many, or those that are left."""
        member, rows = self._members[name], min(rows, self._left[name])
        with self._explained():
            data = self._files[name].read(rows * member.row_bytes)
            self._left[name] -= rows
            # Only a read at the very end checks the sum of the bytes.
            too_long = not self._left[name] and self._files[name].read(1)
            if too_long or len(data) != rows * member.row_bytes:
                raise ValueError(f"its {name} have {'more' if too_long else 'fewer'} bytes than they should")
        return np.frombuffer(data, member.dtype).reshape(rows, *member.row)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OSError(error.errno or errno.EIO, f"cannot load {self._path}: {error.strerror or error}") from error
        except ValueError as error:
            raise ValueError(f"cannot load {self._path}: {error}") from error
        except _DAMAGE as error:
            raise ValueError(f"cannot load {self._path}: it is damaged ({error})") from error


def _check_entries(archive: zipfile.ZipFile, names: list[str]) -> None:
    found = [entry.filename for entry in archive.infolist()]
    if sorted(found) != sorted(names):
        raise ValueError(f"it must hold {' and '.join(names)}, got {', '.join(found[:4]) or 'nothing'}")
    for entry in archive.infolist():
        # Others are not decompressed piece by piece.
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"{entry.filename} must be stored or deflated, got compression {entry.compress_type}")


def _read_header(file: IO[bytes], member: Member) -> int:
    """The number of rows."""
    start = file.read(len(_MAGIC) + 2)
    text = file.read(int.from_bytes(start[len(_MAGIC) :], "little")).decode("latin-1")
    header = _HEADER.fullmatch(text)
    if not start.startswith(_MAGIC) or header is None:
        raise ValueError(f"its {member.name} must be an array of .npy version 1.0, got {start + text[:80].encode()!r}")
    dtype, columns_first, numbers = header.groups()
    # Python 2 wrote some numbers as 7L.
    shape = tuple(int(number.rstrip("L")) for number in numbers.replace(" ", "").split(",") if number)
    if dtype != member.dtype.str or shape[1:] != member.row or not shape or columns_first == "True":
        wanted = ", ".join(map(str, ("n", *member.row)))
        order = " by columns" if columns_first == "True" else ""
        raise ValueError(f"its {member.name} must be ({wanted}) of {member.dtype.str}, got {shape} of {dtype}{order}")
    return shape[0]


def deflate(data: bytes | memoryview) -> bytes:
    """Data compressed by itself, so that the pieces of an array can be made at the same time; they follow each other
    in a file."""
    deflater = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    return deflater.compress(data) + deflater.flush(zlib.Z_FULL_FLUSH)


class NpzWriter:
    """Writes an .npz file of less than 4 GiB to `file`, one array after the other: `begin`, then `add` its rows, and
    `finish` after the last. Equal rows in equal pieces give equal bytes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._entries: list[tuple[bytes, int, int, int, int]] = []
        self._name = b""

    def begin(self, member: Member, rows: int) -> None:
        """The array that follows."""
        self._end_entry()
        self._name, self._start = f"{member.name}.npy".encode(), self._file.tell()
        self._crc = self._size = 0
        self._file.write(self._local_header(0))
        header = io.BytesIO()
        description = {"descr": npy.dtype_to_descr(member.dtype), "fortran_order": False, "shape": (rows, *member.row)}
        npy.write_array_header_1_0(header, description)
        self.add(header.getvalue())

    def add(self, data: bytes | memoryview, deflated: bytes | None = None) -> None:
        """The next rows, C-contiguous, and what `deflate` made of them."""
        self._crc = zlib.crc32(data, self._crc)
        self._size += memoryview(data).nbytes
        self._file.write(deflate(data) if deflated is None else deflated)

    def finish(self) -> None:
        """Write what ends the file."""
        self._end_entry()
        start = self._file.tell()
        for name, offset, crc, packed, size in self._entries:
            fields = (b"PK\x01\x02", 20, 20, *_METHOD, crc, packed, size, len(name), 0, 0, 0, 0, 0, offset)
            self._file.write(struct.pack("<4s6H3L5H2L", *fields) + name)
        count, size = len(self._entries), self._file.tell() - start
        self._file.write(struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, size, start, 0))

    def _local_header(self, packed: int) -> bytes:
        fields = (b"PK\x03\x04", 20, *_METHOD, self._crc, packed, self._size, len(self._name), 0)
        return struct.pack("<4s5H3L2H", *fields) + self._name

    def _end_entry(self) -> None:
        if not self._name:
            return
        self._file.write(_END)
        end = self._file.tell()
        packed = end - self._start - len(self._local_header(0))
        self._file.seek(self._start)
        self._file.write(self._local_header(packed))
        self._file.seek(end)
        self._entries.append((self._name, self._start, self._crc, packed, self._size))
