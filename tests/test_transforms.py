"""Random views: what a draw does, and that it is one draw."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from neural_paint.perception import CLASS_PT, CLASS_TF, STYLE_PT, STYLE_TF, Transform

SIZE = (12, 18)
ALL = Transform(
    pad=3, jitter=4, scales=(0.8, 1.25), degrees=25.0, last_jitter=2, flip=True, gain=0.2, bias=0.1, noise=0.05
)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def picture(*size: int) -> torch.Tensor:
    return torch.rand(*(size or (1, 3, *SIZE)), dtype=torch.float64)


def spot(row: int, column: int) -> torch.Tensor:
    image = torch.zeros(1, 3, 9, 9)
    image[..., row, column] = 1
    return image


def test_by_default_views_are_the_picture(generator):
    images = picture(2, 3, *SIZE)
    views = Transform().draw(4, SIZE, generator)(images)
    torch.testing.assert_close(views, images.repeat_interleave(2, 0))


@pytest.mark.parametrize("transform", [ALL, STYLE_TF, STYLE_PT, CLASS_TF, CLASS_PT])
def test_a_draw_is_the_same_for_two_pictures(transform, generator):
    views = transform.draw(3, (40, 50), generator, out=32)
    a, b = picture(1, 3, 40, 50), picture(1, 3, 40, 50)
    # Affine in the picture, whatever was drawn.
    torch.testing.assert_close(views((a + b) / 2), (views(a) + views(b)) / 2)
    assert not torch.allclose(views(a)[0], views(a)[1])


def test_seeds_reproduce():
    drawn = [ALL.draw(2, SIZE, torch.Generator().manual_seed(seed)) for seed in (5, 5, 6)]
    image = picture()
    first, second, other = (views(image) for views in drawn)
    assert torch.equal(first, second) and not torch.allclose(first, other)


def test_turns_counter_clockwise(generator):
    views = Transform(degrees=(90.0,), fill=0.0).draw(1, (9, 9), generator)
    # What was on the right is above.
    torch.testing.assert_close(views(spot(4, 8)), spot(0, 4), atol=1e-5, rtol=0)
    torch.testing.assert_close(views(spot(0, 4)), spot(4, 0), atol=1e-5, rtol=0)


def test_scales_about_the_middle(generator):
    views = Transform(scales=(2.0,)).draw(1, (8, 8), generator)
    image = picture(1, 3, 8, 8)
    enlarged = F.interpolate(image, scale_factor=2, mode="bilinear")[..., 4:-4, 4:-4]
    torch.testing.assert_close(views(image), enlarged)


def test_pads_and_moves_whole_pixels(generator):
    image = picture()
    views = Transform(pad=3, fill=0.25, jitter=4, last_jitter=2).draw(50, SIZE, generator)(image)
    assert views.shape == (50, 3, *SIZE)
    padded = F.pad(image, (3, 3, 3, 3), value=0.25)
    crops = [padded[..., row : row + 12, column : column + 18] for row in range(7) for column in range(7)]
    seen = {next(i for i, crop in enumerate(crops) if torch.allclose(view, crop)) for view in views}
    assert len(seen) > 20


def test_flips_half(generator):
    image = picture()
    views = Transform(flip=True).draw(40, SIZE, generator)(image)
    flipped = sum(torch.allclose(view, image.flip(3)) for view in views)
    assert 10 < flipped < 30 and flipped + sum(torch.allclose(view, image) for view in views) == 40


def test_degrees_are_drawn_of_several_or_normally(generator):
    def drawn(degrees):
        maps = Transform(degrees=degrees).draw(2000, (8, 8), generator).maps
        return torch.rad2deg(torch.atan2(maps[:, 1, 0], maps[:, 0, 0]))

    turned = drawn(STYLE_TF.degrees)
    assert set(turned.round().tolist()) == set(map(float, range(-5, 5)))
    assert 0.35 < (turned.abs() < 0.5).double().mean() < 0.45
    assert 4.6 < drawn(5.0).std() < 5.4


def test_colours(generator):
    image = picture()
    gained = Transform(gain=0.2).draw(30, SIZE, generator)(image) / image
    assert 0.8 <= gained.min() < 0.85 and 1.15 < gained.max() <= 1.2
    torch.testing.assert_close(gained, gained[..., :1, :1].expand_as(gained))
    moved = Transform(bias=0.1).draw(30, SIZE, generator)(image) - image
    assert -0.1 <= moved.min() < -0.08 and 0.08 < moved.max() <= 0.1
    noise = Transform(noise=0.1).draw(30, SIZE, generator)(image) - image
    assert 0.095 < noise.std() < 0.105


@pytest.mark.parametrize("out", [5, 12, 31])
def test_out_is_the_side_of_views(out, generator):
    # The finest chequers there are: what misses pixels would not be even.
    image = (torch.arange(48)[:, None] + torch.arange(36)).remainder(2).double().expand(1, 3, -1, -1)
    views = Transform().draw(1, (48, 36), generator, out=out)(image)
    assert views.shape == (1, 3, out, out)
    if out < 18:
        assert (views - 0.5).abs().max() < 0.1
    smooth = F.interpolate(picture(1, 3, 3, 4), (48, 36), mode="bicubic")
    views = Transform().draw(1, (48, 36), generator, out=out)(smooth)
    expected = F.interpolate(smooth, (out, out), mode="bilinear", antialias=True)
    torch.testing.assert_close(views[..., 1:-1, 1:-1], expected[..., 1:-1, 1:-1], atol=0.02, rtol=0)


@pytest.mark.parametrize("out", [None, 4])
def test_gradcheck(out, generator):
    views = ALL.draw(4, (5, 7), generator, out)
    assert torch.autograd.gradcheck(views, picture(2, 3, 5, 7).requires_grad_())


def test_rejects_bad_input(generator):
    views = Transform().draw(3, SIZE, generator)
    with pytest.raises(ValueError, match=r"images must be \(B, 3, 12, 18\), got \(1, 3, 12, 12\)"):
        views(picture(1, 3, 12, 12))
    with pytest.raises(ValueError, match="the number of images must divide that of the views, 3, got 2"):
        views(picture(2, 3, *SIZE))
    with pytest.raises(ValueError, match=r"scales must be above 0, got \(0\.0,\)"):
        Transform(scales=(0.0,))
    with pytest.raises(ValueError, match="jitter must be at least 0, got -1"):
        Transform(jitter=-1)
    with pytest.raises(ValueError, match="degrees must be a number, or at least one"):
        Transform(degrees=())
    with pytest.raises(ValueError, match="size must be above the 12 pixels that are cropped off, got 12 x 18"):
        CLASS_TF.draw(1, SIZE, generator)
