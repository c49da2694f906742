"""Paints forward and backward on a GPU, and compares with the CPU in double precision: small enough for
compute-sanitizer. Exits with 1 where a check fails; see benchmarks/gpu_check.sh.

    python benchmarks/gpu_program.py [--device cuda] [--checks scenes patches graph painter]
"""

from __future__ import annotations

import argparse
import math
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from neural_paint import Strokes, backends, composite_patches, paint
from neural_paint.io import demo_photo, load_image
from neural_paint.tasks import reconstruct
from neural_paint.testing import TOLERANCES, assert_gradient_close, assert_image_close, brush_strokes, patch_scene

F64 = torch.float64
SMALL = {"height": 40, "width": 24}
# A dab to a cubic, ramps of everything, textures, both precisions, the exits of opaque paint, lists of several chunks,
# segments and pieces, tiles whose strokes several blocks share and tiles that one block has for itself, and sizes that
# fill no tile. Options of `brush_strokes`, and `t_min`.
SCENES: dict[str, dict[str, Any]] = {
    "dabs, textured": {"control_points": 1, "textures": 2, "batch": 2},
    "lines, tapered": {"control_points": 2, "taper": 0.3, "color_ends": 2, "height": 33, "width": 129},
    "quadratics": {"opacity_ends": 2, "batch": 2},
    "quadratics, textured, all ramps": {"textures": 3, "color_ends": 2, "opacity_ends": 2, "taper": 0.5},
    "cubics": {"control_points": 4, "taper": 1.5, "color_ends": 2, "radius": 4.0, "bend": 0.05},
    "opaque": {"opacity": (1.0, 1.0), "opacity_ends": 2, "strokes": 40},
    "hairlines": {"radius": 0.0, "feather": 1.0},
    "double precision, textured": {"textures": 2, "color_ends": 2, "opacity_ends": 2, "taper": 0.5, "dtype": F64},
    "many": {**SMALL, "strokes": 300, "opacity": (0.0, 0.3)},
    "thousands": {**SMALL, "strokes": 3000, "opacity": (0.0, 0.1)},
    "many on small canvases": {**SMALL, "strokes": 400, "batch": 3, "textures": 2, "opacity_ends": 2},
    # A threshold keeps a tile's strokes together. Double precision, as where a pixel closes is a matter of rounding;
    # the other threshold is below all transmittances.
    "threshold": {**SMALL, "strokes": 80, "t_min": 0.05, "dtype": F64},
    "thousands, threshold": {**SMALL, "strokes": 3000, "opacity": (0.0, 0.005), "t_min": 0.05, "dtype": F64},
    "thousands in one block": {**SMALL, "strokes": 3000, "opacity": (0.0, 0.005), "t_min": 1e-6},
    "many opaque, 16 channels": {"strokes": 130, "height": 17, "width": 31, "opacity": (0.9, 1.0), "channels": 16},
    "one pixel": {"height": 1, "width": 1, "length": 2.0, "strokes": 3},
    "one column": {"height": 70, "width": 1, "length": 20.0},
    "no strokes": {"strokes": 0, "height": 9, "width": 5},
    "few on a large canvas": {"strokes": 12, "height": 1000, "width": 1200, "length": 300.0, "radius": 25.0},
    "bad strokes": {"textures": 2, "batch": 2, "strokes": 24},
}
# Both kinds of patches, shared or not; shifts, supersampling, opaque paint, lists of several chunks and pieces. Options
# of `patch_scene`.
F32 = torch.float32
PATCHES: dict[str, dict[str, Any]] = {
    "patches": {"dtype": F32},
    "patches in colour": {"colored": True, "dtype": F32},
    "shared patches": {"shared": 3, "dtype": F32},
    "shared patches in colour": {"shared": 3, "colored": True, "dtype": F32},
    "patches at whole pixels": {"place": "grid", "dtype": F32},
    "patches shifted": {"place": "shift", "colored": True, "dtype": F32},
    "patches shrunk": {"scale": (0.1, 0.4), "dtype": F32},
    "patches in colour, shrunk": {"scale": (0.1, 0.4), "colored": True, "dtype": F32},
    "patches stretched": {"scale": (3.0, 6.0), "colored": True, "dtype": F32},
    "opaque patches": {"level": (1.0, 1.0), "count": 40, "dtype": F32},
    "many patches": {"count": 300, "size": (5, 7), "canvas": (40, 24), "level": (0.0, 0.5), "dtype": F32},
    "thousands of patches": {"count": 3000, "size": (3, 4), "canvas": (9, 20), "batch": 1, "level": (0.0, 0.1)},
    "thousands of opaque patches": {"count": 3000, "size": (3, 4), "canvas": (9, 20), "level": (0.9, 1.0)},
    "patches, 16 channels": {"channels": 16, "colored": True, "dtype": F32},
    "one pixel under patches": {"canvas": (1, 1), "count": 3, "channels": 1, "dtype": F32},
    "patches of one texel": {"size": (1, 1), "scale": (5.0, 9.0), "dtype": F32},
    "no patches": {"count": 0, "dtype": F32},
    "patches on a large canvas": {"canvas": (1000, 1200), "size": (64, 64), "count": 20, "batch": 1, "dtype": F32},
    "bad patches": {"shared": 3, "count": 16, "dtype": F32},
}
STEPS = 4


def scene(name: str) -> tuple[Strokes, Tensor]:
    options = {key: value for key, value in SCENES[name].items() if key != "t_min"}
    strokes = brush_strokes(**options)
    batch, channels = strokes.batch_size, strokes.channels
    random = torch.Generator().manual_seed(1)
    background = torch.rand(batch, channels, options.get("height", 63), options.get("width", 100), generator=random)
    return spoil(strokes) if name == "bad strokes" else strokes, background.to(strokes.dtype)


def spoil(strokes: Strokes) -> Strokes:
    """Every second stroke breaks one rule, each another one."""
    strokes = strokes.clone()
    strokes.points[:, 0, 1, 0] = math.nan
    strokes.points[:, 2] = 1e30
    strokes.radius[:, 4, 1] = math.inf
    strokes.radius[:, 6] = -1.0
    strokes.feather[:, 8] = 0.0
    strokes.feather[:, 10] = -math.inf
    strokes.color[:, 12, 0] = math.nan
    strokes.opacity[:, 14] = math.inf
    strokes.texture_id[:, 16] = 2
    strokes.texture_id[:, 18] = -2
    strokes.texture_id[:, 20] = 2**40
    strokes.points[:, 22] = strokes.points[:, 22, :1].clone()
    return strokes


def spoil_patches(scene: dict[str, Tensor]) -> dict[str, Tensor]:
    """Every second patch breaks one rule, each another one."""
    scene["transform"][:, 0, 1, 2] = math.nan
    scene["transform"][:, 2, 0, 0] = math.inf
    scene["transform"][:, 4, :, :2] = 0.0
    scene["transform"][:, 6, :, :2] = 1e-3 * torch.eye(2)
    scene["color"][:, 8, 0] = math.nan
    scene["opacity"][:, 10] = -math.inf
    scene["patch_id"][:, 12] = -1
    scene["patch_id"][:, 14] = 2**40
    return scene


def with_gradients(inputs: dict[str, Tensor], render: Callable[..., Tensor]) -> dict[str, Tensor]:
    """The image, and the gradient in every input of a weighted sum of it."""
    leaves = {name: x.detach().requires_grad_(x.is_floating_point()) for name, x in inputs.items()}
    image = render(**leaves)
    weight = torch.linspace(-1, 1, image.numel(), dtype=torch.float64).reshape(image.shape).to(image)
    wanted = {name: x for name, x in leaves.items() if x.requires_grad}
    total = (image * weight).sum()
    gradients = torch.autograd.grad(total, list(wanted.values()), allow_unused=True, materialize_grads=True)
    return {"image": image.detach(), **dict(zip(wanted, gradients, strict=True))}


def check_scenes(device: str) -> None:
    check_each(SCENES, scene_faults, device)


def check_patches(device: str) -> None:
    check_each(PATCHES, patch_faults, device)


def check_each(names: Iterable[str], find_faults: Callable[[str, str], list[str]], device: str) -> None:
    """Every scene as the CPU paints it in double precision. All that is wrong is told, not the first of it alone."""
    faults = []
    for name in names:
        try:
            faults += find_faults(name, device)
        except RuntimeError as error:
            faults.append(f"{name}: {error}")
            if not usable(device):
                break
    assert not faults, "".join(f"\n  {fault}" for fault in faults)


def scene_faults(name: str, device: str) -> list[str]:
    strokes, background = scene(name)
    t_min = SCENES[name].get("t_min", 0.0)

    def render(background: Tensor, **fields: Tensor) -> Tensor:
        return paint(Strokes(**fields), background, t_min=t_min)

    inputs = {**strokes.fields(), "background": background}
    return faults_of(name, inputs, render, device, "hairline" if name == "hairlines" else "brush")


def patch_faults(name: str, device: str) -> list[str]:
    inputs = patch_scene(**PATCHES[name])
    if name == "bad patches":
        inputs = spoil_patches(inputs)
    return faults_of(name, inputs, composite_patches, device, "brush")


def faults_of(name: str, inputs: dict[str, Tensor], render: Callable[..., Tensor], device: str, kind: str) -> list[str]:
    """What is wrong with the image of a scene and with its gradients, each by itself."""
    tolerance = TOLERANCES[inputs["background"].dtype, kind]
    actual = with_gradients({key: x.to(device) for key, x in inputs.items()}, render)
    exact = {key: x.double() if x.is_floating_point() else x for key, x in inputs.items()}
    expected = with_gradients(exact, render)
    faults = []
    for field, value in actual.items():
        try:
            if field == "image":
                assert_image_close(value.cpu(), expected[field], tolerance)
            else:
                assert_gradient_close(value.cpu(), expected[field], tolerance, field)
        except AssertionError as error:
            faults.append(f"{name}, {field}: {error}")
    return faults


def usable(device: str) -> bool:
    """Whether the device still runs anything: after a fault in a kernel, it does nothing more for this process."""
    try:
        torch.ones(1, device=device).item()
    except (RuntimeError, AssertionError):  # the latter where torch has no CUDA
        return False
    return True


def check_graph(device: str) -> None:
    """A step of an optimisation, captured in a CUDA graph and replayed, does what it does when called."""
    if torch.device(device).type != "cuda":
        print("     there are CUDA graphs on CUDA only")
        return
    for optimisation in (of_strokes, of_patches):
        assert_replays(optimisation(device), optimisation(device))


def assert_replays(called: Optimisation, replayed: Optimisation) -> None:
    for _ in range(STEPS):
        called.step()
    begun = [x.detach().clone() for x in replayed.parameters]
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        replayed.step()  # what is made once, is made before the capture
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    replayed.optimizer.zero_grad(set_to_none=True)
    with torch.cuda.graph(graph):
        replayed.step()
    with torch.no_grad():
        for parameter, value in zip(replayed.parameters, begun, strict=True):
            parameter.copy_(value)
    for _ in range(STEPS):
        graph.replay()
    torch.testing.assert_close(replayed.loss, called.loss, rtol=1e-4, atol=0)
    for a, b in zip(replayed.parameters, called.parameters, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)


class Optimisation:
    """Gradient descent of an image towards grey."""

    def __init__(self, parameters: list[Tensor], rate: float, render: Callable[[], Tensor]) -> None:
        self.parameters = [x.requires_grad_() for x in parameters]
        self.optimizer = torch.optim.SGD(self.parameters, lr=rate)
        self.render = render

    def step(self) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        loss = (self.render() - 0.5).square().mean()
        loss.backward()
        self.optimizer.step()
        self.loss = loss.detach()


def of_strokes(device: str) -> Optimisation:
    strokes, background = (x.to(device) for x in scene("quadratics, textured, all ramps"))
    fields = [x for x in strokes.fields().values() if x.is_floating_point()]
    return Optimisation(fields, 10.0, lambda: paint(strokes, background))


def of_patches(device: str) -> Optimisation:
    inputs = {name: x.to(device) for name, x in patch_scene(dtype=F32).items()}
    moving = [x for name, x in inputs.items() if name != "background"]
    return Optimisation(moving, 1.0, lambda: composite_patches(**inputs))


def check_painter(device: str) -> None:
    """The painter, which replays its steps as a CUDA graph, paints as well as on the CPU."""
    photo = load_image(demo_photo(), size=64)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="steps are not replayed")
        *_, painted = reconstruct(photo.to(device), 80, steps=100)
    *_, expected = reconstruct(photo, 80, steps=100)
    assert painted.psnr > expected.psnr - 0.5, f"{painted.psnr:.2f} dB, on the CPU {expected.psnr:.2f} dB"


CHECKS = {"scenes": check_scenes, "patches": check_patches, "graph": check_graph, "painter": check_painter}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Check painting on a GPU against the CPU.")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--checks", nargs="+", choices=CHECKS, default=list(CHECKS))
    options = parser.parse_args(arguments)
    print(f"paint on {options.device}: {backends.pick(None, options.device)}")
    failed = 0
    for name in options.checks:
        begun = time.perf_counter()
        try:
            CHECKS[name](options.device)
            outcome = "pass"
        except (AssertionError, RuntimeError, Warning) as error:
            outcome = f"FAIL: {error}"
            failed += 1
        print(f"{name}: {outcome} ({time.perf_counter() - begun:.1f} s)")
        if not usable(options.device):
            print(f"{options.device} runs nothing any more, and no further check")
            break
    return min(failed, 1)


if __name__ == "__main__":
    raise SystemExit(main())
