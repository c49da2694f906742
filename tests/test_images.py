"""Odd photographs are read as the right picture or refused in one sentence; paintings are written whole."""

from __future__ import annotations

import errno
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from neural_paint.io import ImageError, demo_photo, images, load_image, save_image

# An upright 4 x 6 picture: red above blue, a green column at the left.
PICTURE = np.zeros((6, 4, 3), np.uint8)
PICTURE[:3, :, 0] = 255
PICTURE[3:, :, 2] = 255
PICTURE[:, 0] = (0, 255, 0)

EXIF_INVERSE = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def expected(pixels: np.ndarray) -> torch.Tensor:
    return torch.tensor(pixels).permute(2, 0, 1)[None] / 255


def assert_same(image: torch.Tensor, pixels: np.ndarray, levels: float = 0.01) -> None:
    assert image.dtype == torch.float32 and image.is_contiguous()
    torch.testing.assert_close(image, expected(pixels), rtol=0, atol=levels / 255)


def grey(value: int) -> np.ndarray:
    return np.full((6, 4, 3), value, np.uint8)


def write_png16(path: Path, pixels: np.ndarray, color_type: int, transparent: int | None = None) -> None:
    """A 16-bit PNG of (H, W, channels): Pillow itself writes only grey ones."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = pixels.shape[:2]
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, color_type, 0, 0, 0))
    key = b"" if transparent is None else chunk(b"tRNS", struct.pack(">H", transparent))
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + key + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp", "ppm"])
def test_lossless_formats(tmp_path, suffix):
    Image.fromarray(PICTURE).save(tmp_path / f"photo.{suffix}")
    assert_same(load_image(tmp_path / f"photo.{suffix}"), PICTURE)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA", "LA", "CMYK", "YCbCr"])
def test_modes(tmp_path, mode):
    source = PICTURE if mode in ("P", "RGBA", "CMYK", "YCbCr") else grey(255)
    path = tmp_path / ("photo.tif" if mode in ("CMYK", "YCbCr") else "photo.png")
    Image.fromarray(source).convert(mode).save(path)
    assert_same(load_image(path), source, levels=2)


@pytest.mark.parametrize("color_type, channels", [(0, 1), (2, 3), (4, 2), (6, 4)])
@pytest.mark.parametrize("value", [0, 255, 1000, 40000, 65535])
def test_sixteen_bit_png_is_scaled(tmp_path, color_type, channels, value):
    pixels = np.full((6, 4, channels), value)
    if color_type >= 4:
        pixels[..., -1] = 65535
    write_png16(tmp_path / "photo.png", pixels, color_type)
    image = load_image(tmp_path / "photo.png")
    assert image.shape == (1, 3, 6, 4)
    torch.testing.assert_close(image, torch.full_like(image, value / 65535), rtol=0, atol=1 / 255)


def test_sixteen_bit_grey_tiff_with_a_gradient(tmp_path):
    values = np.linspace(0, 65535, 24).reshape(6, 4).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / "photo.tif")
    torch.testing.assert_close(
        load_image(tmp_path / "photo.tif")[0, 1], torch.tensor(values / 65535).float(), rtol=0, atol=0.51 / 255
    )


def transparent_rgba() -> Image.Image:
    image = Image.fromarray(PICTURE).convert("RGBA")
    image.putalpha(Image.fromarray(np.where(np.arange(24).reshape(6, 4) < 8, 0, 255).astype(np.uint8)))
    return image


@pytest.mark.parametrize("suffix", ["png", "webp", "tif"])
@pytest.mark.parametrize("background", [(1.0, 1.0, 1.0), (0.0, 1.0, 0.2)])
def test_transparency_shows_the_background(tmp_path, suffix, background):
    transparent_rgba().save(tmp_path / f"photo.{suffix}", lossless=True)
    pixels = PICTURE.copy()
    pixels[:2] = np.multiply(background, 255)
    assert_same(load_image(tmp_path / f"photo.{suffix}", background=background), pixels)


def test_half_transparent_grey(tmp_path):
    Image.merge("LA", (Image.new("L", (4, 6), 0), Image.new("L", (4, 6), 128))).save(tmp_path / "photo.png")
    assert_same(load_image(tmp_path / "photo.png"), grey(127))


@pytest.mark.parametrize("mode", ["P", "L", "1", "RGB", "gif", "16"])
def test_transparent_color(tmp_path, mode):
    path = tmp_path / ("photo.gif" if mode == "gif" else "photo.png")
    black = Image.new("RGB", (4, 6), 0)
    if mode == "16":
        write_png16(path, np.full((6, 4, 1), 300), 0, transparent=300)
    elif mode == "RGB":
        black.save(path, transparency=(0, 0, 0))
    else:
        image = black.convert({"gif": "P"}.get(mode, mode))
        image.save(path, transparency=image.getpixel((0, 0)))
    assert_same(load_image(path, background=(0, 1, 0)), np.broadcast_to(np.uint8([0, 255, 0]), (6, 4, 3)).copy())


def test_reducing_does_not_bleed_hidden_colors(tmp_path):
    image = Image.new("RGBA", (64, 64), (255, 0, 0, 0))
    image.paste((0, 0, 255, 255), (16, 0, 64, 64))
    image.save(tmp_path / "photo.png")
    assert load_image(tmp_path / "photo.png", size=13, background=(0, 0, 1))[0, 0].max() < 0.02


@pytest.mark.parametrize("orientation", EXIF_INVERSE)
@pytest.mark.parametrize("suffix", ["png", "tif", "webp", "jpg"])
def test_exif_orientation(tmp_path, orientation, suffix):
    large = PICTURE.repeat(8, 0).repeat(8, 1)
    stored = Image.fromarray(large)
    if EXIF_INVERSE[orientation] is not None:
        stored = stored.transpose(EXIF_INVERSE[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if suffix == "webp" else {"quality": 100, "subsampling": 0} if suffix == "jpg" else {}
    stored.save(tmp_path / f"photo.{suffix}", exif=exif, **options)
    assert_same(load_image(tmp_path / f"photo.{suffix}"), large, levels=3)
    assert load_image(tmp_path / f"photo.{suffix}", size=24).shape == (1, 3, 24, 16)


@pytest.mark.parametrize("exif", [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff", b"\xff" * 40])
def test_damaged_exif_is_ignored(tmp_path, exif):
    Image.fromarray(grey(99)).save(tmp_path / "photo.jpg", exif=exif)
    assert_same(load_image(tmp_path / "photo.jpg"), grey(99), levels=1)


def wide_gamut_profile() -> bytes:
    """The sRGB profile with its red and green primaries exchanged: a mistake is seen at once."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    tags = {
        bytes(data[132 + 12 * i : 136 + 12 * i]): 132 + 12 * i for i in range(struct.unpack(">I", data[128:132])[0])
    }
    red, green = tags[b"rXYZ"], tags[b"gXYZ"]
    data[red + 4 : red + 12], data[green + 4 : green + 12] = data[green + 4 : green + 12], data[red + 4 : red + 12]
    return bytes(data)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
def test_color_profile_is_applied(tmp_path, suffix):
    Image.new("RGB", (16, 16), (255, 0, 0)).save(
        tmp_path / f"photo.{suffix}", icc_profile=wide_gamut_profile(), quality=100, lossless=True
    )
    image = load_image(tmp_path / f"photo.{suffix}")
    torch.testing.assert_close(image[0, :, 8, 8], torch.tensor([0.0, 1.0, 0.0]), rtol=0, atol=3 / 255)


def test_color_profile_leaves_alpha_alone(tmp_path):
    Image.new("RGBA", (4, 6), (255, 0, 0, 51)).save(tmp_path / "photo.png", icc_profile=wide_gamut_profile())
    torch.testing.assert_close(
        load_image(tmp_path / "photo.png")[0, :, 0, 0], torch.tensor([0.8, 1.0, 0.8]), rtol=0, atol=1 / 255
    )


@pytest.mark.parametrize("profile", [b"junk", ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_neutral_or_broken_color_profile(tmp_path, profile, mode):
    image = Image.fromarray(grey(99)).convert(mode)
    image.save(tmp_path / "photo.tif", icc_profile=profile)
    assert_same(load_image(tmp_path / "photo.tif"), grey(99), levels=1)


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "tif"])
def test_animation_gives_its_first_frame(tmp_path, suffix):
    frames = [Image.fromarray(pixels) for pixels in (PICTURE, grey(10), grey(200))]
    frames[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:], lossless=True)
    assert_same(load_image(tmp_path / f"a.{suffix}"), PICTURE, levels=1)


@pytest.mark.parametrize(
    "stored, size, shape",
    [
        ((400, 300), 100, (75, 100)),
        ((300, 400), 100, (100, 75)),
        ((40, 30), 100, (75, 100)),
        ((100, 30), 100, (30, 100)),
        ((1000, 1), 10, (1, 10)),
        ((1, 1), None, (1, 1)),
        ((1, 1), 7, (7, 7)),
        ((63, 17), 1, (1, 1)),
    ],
)
@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_size(tmp_path, stored, size, shape, suffix):
    Image.new("RGB", stored, (50, 100, 150)).save(tmp_path / f"photo.{suffix}", quality=100)
    image = load_image(tmp_path / f"photo.{suffix}", size=size)
    assert image.shape == (1, 3, *shape)
    torch.testing.assert_close(image.mean((2, 3))[0], torch.tensor([50, 100, 150]) / 255, rtol=0, atol=2 / 255)


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_reducing_averages_instead_of_sampling(tmp_path, suffix):
    checkers = (np.indices((600, 600)).sum(0) % 2 * 255).astype(np.uint8)
    Image.fromarray(checkers).convert("RGB").save(tmp_path / f"photo.{suffix}", quality=100)
    image = load_image(tmp_path / f"photo.{suffix}", size=37)
    torch.testing.assert_close(image, torch.full_like(image, 0.5), rtol=0, atol=3 / 255)


def test_hundred_megapixels(tmp_path):
    Image.new("RGB", (12_000, 8_500), (10, 20, 30)).save(tmp_path / "photo.jpg")
    limit = Image.MAX_IMAGE_PIXELS
    image = load_image(tmp_path / "photo.jpg", size=256)
    assert image.shape == (1, 3, 181, 256) and limit == Image.MAX_IMAGE_PIXELS
    torch.testing.assert_close(image[0, :, 9, 9], torch.tensor([10, 20, 30]) / 255, rtol=0, atol=2 / 255)


def damaged(path: Path, kind: str) -> Path:
    if kind == "folder":
        path.mkdir()
    elif kind == "empty":
        path.touch()
    elif kind == "text":
        path.write_text("not a picture")
    elif kind == "script":
        path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n")
    elif kind == "huge":
        write_png16(path, np.zeros((1, 1, 1)), 0)
        data = bytearray(path.read_bytes())
        data[16:24] = struct.pack(">II", 60_000, 60_000)
        data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
        path.write_bytes(data)
    elif kind == "float":
        Image.new("F", (4, 6), 0.5).save(path, "TIFF")
    elif kind == "32-bit":
        Image.new("I", (4, 6), 70_000).save(path, "TIFF")
    elif kind.startswith("truncated"):
        noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
        noise.save(path, kind.split()[1])
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


@pytest.mark.parametrize(
    "kind, problem",
    [
        ("missing", "there is no such file"),
        ("folder", "it is a folder"),
        ("empty", "it is not an image"),
        ("text", "it is not an image"),
        ("script", "it is not an image"),
        ("huge", "60000 x 60000 pixels, more than 512,000,000"),
        ("float", "floating-point"),
        ("32-bit", "32-bit"),
        *(
            (f"truncated {name}", "it is damaged")
            for name in ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "PPM", "JPEG2000")
        ),
    ],
)
def test_unreadable_photo_is_refused_in_one_sentence(tmp_path, kind, problem):
    path = damaged(tmp_path / "photo.jpg", kind)
    with pytest.raises(ImageError) as caught:
        load_image(path)
    message = str(caught.value)
    assert message.startswith(f"cannot read {path}: ") and problem in message and "\n" not in message
    assert len(message) > len(f"cannot read {path}: ")


@pytest.mark.parametrize("arguments", [{"size": 0}, {"size": -3}, {"background": (1, 1)}, {"background": (0, 0, 2)}])
def test_load_rejects_bad_arguments(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        load_image(demo_photo(), **arguments)


def test_demo_photo():
    assert load_image(demo_photo()).shape == (1, 3, 300, 451)
    assert demo_photo().stat().st_size < 120_000
    assert "CC0" in (demo_photo().parent / "LICENSE.md").read_text()


@pytest.mark.parametrize("suffix", ["png", "PNG", "jpg", "jpeg", "webp"])
@pytest.mark.parametrize("shape", [(3, 6, 4), (1, 3, 6, 4), (1, 6, 4), (1, 1, 6, 4)])
def test_save_and_load(tmp_path, suffix, shape):
    image = torch.linspace(0, 1, 72).reshape(3, 6, 4) if 3 in shape else torch.linspace(0, 1, 24)
    save_image(tmp_path / f"out.{suffix}", image.reshape(shape))
    loaded = load_image(tmp_path / f"out.{suffix}")
    tolerance = 0.5001 / 255 if suffix.lower() == "png" else 0.25
    torch.testing.assert_close(loaded, image.reshape(1, -1, 6, 4).expand(1, 3, 6, 4), rtol=0, atol=tolerance)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_save_rounds_and_clamps(tmp_path, dtype):
    values = torch.tensor([-1.0, 0.0, 0.49 / 255, 0.51 / 255, 0.25, 0.999, 1.0, 7.0, float("inf")], dtype=dtype)
    save_image(tmp_path / "out.png", values.reshape(1, 1, 9).requires_grad_())
    wide = values if dtype == torch.float64 else values.float()
    written = np.asarray(Image.open(tmp_path / "out.png"))[0]
    assert written.tolist() == (wide.clamp(0, 1) * 255).round().int().tolist()


def test_every_level_survives(tmp_path):
    levels = (torch.arange(256) / 255).reshape(1, 16, 16).expand(3, 16, 16)
    save_image(tmp_path / "out.png", levels)
    assert torch.equal(load_image(tmp_path / "out.png")[0], levels)


@pytest.mark.parametrize(
    "name, image, error, message",
    [
        ("out.bmpx", torch.zeros(3, 4, 4), ImageError, r"\.png, \.jpg, \.jpeg, \.webp"),
        ("out", torch.zeros(3, 4, 4), ImageError, "must end in"),
        ("out.png", torch.full((3, 4, 4), float("nan")), ImageError, r"nan at \(c, y, x\) = \(0, 0, 0\)"),
        ("out.png", torch.zeros(2, 3, 4, 4), ValueError, "shape"),
        ("out.png", torch.zeros(4, 4, 4), ValueError, "shape"),
        ("out.png", torch.zeros(3, 0, 4), ValueError, "shape"),
        ("out.png", torch.zeros(3, 4, 4, dtype=torch.uint8), TypeError, "floating tensor"),
        ("out.png", np.zeros((3, 4, 4)), TypeError, "floating tensor"),
        ("out.webp", torch.zeros(1, 1, 16_384), ImageError, "at most 16383 pixels"),
        ("out.jpg", torch.zeros(1, 1, 65_501), ImageError, "at most 65500 pixels"),
        ("none/out.png", torch.zeros(3, 4, 4), FileNotFoundError, "there is no folder"),
        ("folder.png", torch.zeros(3, 4, 4), IsADirectoryError, "it is a folder"),
        ("pipe.png", torch.zeros(3, 4, 4), OSError, "not a regular file"),
    ],
)
def test_save_rejects_bad_input(tmp_path, name, image, error, message):
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(error, match=message):
        save_image(tmp_path / name, image)
    assert sorted(os.listdir(tmp_path)) == ["folder.png", "pipe.png"]


@pytest.mark.parametrize("failing", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_failed_write_keeps_the_old_picture(tmp_path, monkeypatch, failing, error):
    path = tmp_path / "out.png"
    save_image(path, torch.ones(3, 4, 4))

    def fail(*_):
        raise error

    monkeypatch.setattr(os, failing, fail)
    with pytest.raises(type(error)) as caught:
        save_image(path, torch.zeros(3, 4, 4))
    monkeypatch.undo()
    if isinstance(error, OSError):
        assert caught.value.errno == errno.ENOSPC
        assert caught.value.strerror == f"cannot write {path}: No space left on device"
    assert os.listdir(tmp_path) == ["out.png"] and load_image(path).min() == 1


def test_save_follows_a_link_and_keeps_the_usual_permissions(tmp_path):
    (tmp_path / "plain").touch()
    (tmp_path / "real.png").touch()
    (tmp_path / "link.png").symlink_to("real.png")
    save_image(tmp_path / "link.png", torch.ones(3, 4, 4))
    assert (tmp_path / "link.png").is_symlink() and load_image(tmp_path / "real.png").min() == 1
    assert (tmp_path / "real.png").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_formats_that_run_programs_are_not_read():
    assert "EPS" not in images.READ_FORMATS
