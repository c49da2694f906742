"""Steps of the painter as CUDA graphs: they may be captured, and replays do what calls do."""

from __future__ import annotations

import contextlib
import copy
import gc
import importlib
import weakref
from collections.abc import Callable

import pytest
import torch
from recorded_graph import Capturable, RecordedGraph
from torch import Tensor

from neural_paint import Strokes, paint
from neural_paint.brushes import BRUSHES, BitmapBrush, Brush
from neural_paint.io import demo_photo, load_image
from neural_paint.painters import DabPainter, GANPainter, NeuralPainter
from neural_paint.tasks import Step, reconstruct
from neural_paint.tasks.action_parameters import FINEST
from neural_paint.tasks.painting import Painting
from neural_paint.tasks.schedule import waves

BRUSH: dict[str, Brush | BitmapBrush | NeuralPainter] = {
    **BRUSHES,
    "bitmap": BitmapBrush(torch.linspace(0.1, 1, 35).view(1, 5, 7)),
    "dab": DabPainter(dabs=8, width=4).freeze(),
    "gan": GANPainter(dim=4, noise_size=0).freeze(),
}

step_graph = importlib.import_module("neural_paint.tasks.step_graph")


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[RecordedGraph]:
    """The graphs that painters on the CPU make from now on."""
    graphs: list[RecordedGraph] = []

    def graph_on(device: torch.device) -> RecordedGraph:
        graphs.append(RecordedGraph())
        return graphs[-1]

    monkeypatch.setattr(step_graph, "_graph_on", graph_on)
    return graphs


def _photos() -> Tensor:
    photo = load_image(demo_photo(), size=32)
    return torch.cat([photo, 1 - photo.flip(3)])


def _painting(strokes: int = 20, brush: str = "round") -> Painting:
    painting = Painting(_photos(), strokes, BRUSH[brush], torch.Generator().manual_seed(0))
    for wave in waves(strokes, getattr(BRUSH[brush], "radius", FINEST)):
        painting.begin_wave(wave)
    return painting


def _assert_same(actual: list[Step], expected: list[Step]) -> None:
    assert len(actual) == len(expected)
    for a, b in zip(actual, expected, strict=True):
        fields = {**a.strokes.fields(), "canvas": a.canvas, "mse": a.mse}
        others = {**b.strokes.fields(), "canvas": b.canvas, "mse": b.mse}
        assert fields.keys() == others.keys()
        for name, value in fields.items():
            assert torch.equal(value, others[name]), f"{name} at step {a.index}"


# Waves that add strokes, some that relocate them, and fewer strokes than the shortest prefix.
@pytest.mark.parametrize(
    ("strokes", "brush"), [(70, "round"), (40, "dry"), (5, "round"), (40, "bitmap"), (5, "bitmap")]
)
def test_replayed_steps_are_called_steps(
    strokes: int, brush: str, monkeypatch: pytest.MonkeyPatch, recorded: list[RecordedGraph]
) -> None:
    replayed = list(reconstruct(_photos(), strokes, steps=40, brush=BRUSH[brush]))
    assert [(graph.warmed, graph.captured, graph.replayed) for graph in recorded] == [(1, 1, 39)]
    monkeypatch.undo()
    # A replay makes the same calls on the same values: the same bits.
    _assert_same(replayed, list(reconstruct(_photos(), strokes, steps=40, brush=BRUSH[brush])))


def test_replays_leave_what_was_yielded(recorded: list[RecordedGraph]) -> None:
    painter = reconstruct(_photos(), 20, steps=30, brush="dry")
    steps = [next(painter) for _ in range(4)]
    kept = [Step(**{**vars(step), "strokes": step.strokes.clone(), "canvas": step.canvas.clone()}) for step in steps]
    list(painter)
    _assert_same(steps, kept)


def test_what_changes_from_step_to_step_is_read_from_the_device(recorded: list[RecordedGraph]) -> None:
    painting = _painting()
    for _ in range(3):
        painting.step(1.0)
    before = painting.parameters.rows.clone()
    for rate in (0.0, 0.5, 1.0):
        with torch.no_grad():
            painting.parameters.rows.copy_(before)
        painting.step(rate)
        moved = (painting.parameters.rows - before).abs().max()
        assert (moved > 0) == (rate > 0)
    assert recorded[0].replayed == 5


def test_every_step_looks_at_another_prefix(recorded: list[RecordedGraph]) -> None:
    painting = _painting()
    lengths = []
    for _ in range(12):
        painting.step(1.0)
        length = torch.minimum(painting._turn * painting._octaves, painting._octaves)
        lengths.append(int((painting._octave < length).sum()))
    assert min(lengths) >= 8 and max(lengths) < 20 and len(set(lengths)) > 6


def test_a_graph_keeps_what_comes_from_python() -> None:
    """So that the tests above would fail with a number that does."""
    number, total = 1.0, torch.zeros(())

    def step() -> tuple[Tensor]:
        total.add_(number)
        return (total * 2,)

    graph = RecordedGraph()
    (doubled,) = graph.capture(step)
    assert total == 0 and doubled.isnan()
    number = 10.0
    graph.replay()
    assert total == 1 and doubled == 2


def _split_by_length(painting: Painting) -> None:
    strokes = painting.parameters.strokes()
    strokes[:, : int(painting._turn * strokes.num_strokes)]


def _select_by_mask(painting: Painting) -> None:
    painting.parameters.strokes()[:, painting._octave < 1]


def _number_of_the_host(painting: Painting) -> None:
    painting._rate.copy_(torch.tensor(0.5))


@pytest.fixture
def on_meta(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Painting]:
    """A painting without values, on a device that is not the host, which nothing can be read back from."""
    monkeypatch.setattr("neural_paint.backends.pick", lambda *_args, **_options: "cpp")
    # It has no autocast, which painters turn off.
    monkeypatch.setattr(torch, "autocast", lambda *_args, **_options: contextlib.nullcontext())

    def build(brush: str) -> Painting:
        painting = _painting(brush=brush)
        for holder in (painting, painting.parameters):
            for name, value in vars(holder).items():
                if isinstance(value, Tensor):
                    setattr(holder, name, value.to("meta"))
                elif isinstance(value, NeuralPainter):
                    setattr(holder, name, copy.deepcopy(value).to("meta"))
        return painting

    return build


@pytest.mark.parametrize("brush", ["round", "dry", "bitmap", "dab", "gan"])
def test_a_step_can_be_captured(brush: str, on_meta: Callable[[str], Painting]) -> None:
    painting = on_meta(brush)
    with Capturable("meta"):
        outputs = painting._advance()
    assert {x.device.type for x in outputs} == {"meta"}


@pytest.mark.parametrize("step", [_split_by_length, _select_by_mask, _number_of_the_host])
def test_what_cannot_be_captured_is_found(step: Callable[[Painting], None], on_meta: Callable[[str], Painting]) -> None:
    painting = on_meta("round")
    with pytest.raises(RuntimeError, match=r"waits for the device|of the host"), Capturable("meta"):
        step(painting)


class _NoMemory(RecordedGraph):
    def capture(self, step: Callable[[], tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
        raise torch.OutOfMemoryError("out of memory")


def test_painting_goes_on_where_a_step_cannot_be_captured(monkeypatch: pytest.MonkeyPatch) -> None:
    called = list(reconstruct(_photos(), 20, steps=10))
    monkeypatch.setattr(step_graph, "_graph_on", lambda device: _NoMemory())
    with pytest.warns(UserWarning, match="not replayed as a CUDA graph, which is slower: out of memory"):
        steps = list(reconstruct(_photos(), 20, steps=10))
    _assert_same(steps, called)


def test_nothing_is_kept_of_a_painting_that_is_left(recorded: list[RecordedGraph]) -> None:
    """At once, not when Python next looks for cycles: a graph holds much of a GPU's memory."""
    painter = reconstruct(_photos(), 20, steps=10)
    for _ in range(5):
        next(painter)
    graph = weakref.ref(recorded.pop())
    gc.disable()
    try:
        painter.close()
        assert graph() is None
    finally:
        gc.enable()


def test_left_out_strokes_have_no_gradient_and_the_others_their_own() -> None:
    """Two parts by masks, as a step paints them, against two parts by slices."""
    strokes, under = _painting(30).parameters.strokes(), _photos() * 0.5
    weight = torch.linspace(-1, 1, under.numel()).reshape(under.shape)

    def gradients(parts: Callable[[Strokes], tuple[Strokes, Strokes]]) -> list[Tensor]:
        leaves = strokes.detach().requires_grad_()
        below, above = parts(leaves)
        sketch = paint(below, under)
        canvas = paint(above, sketch)
        return [canvas.detach(), *torch.autograd.grad(((canvas + sketch) * weight).sum(), [*leaves.fields().values()])]

    def masked(leaves: Strokes) -> tuple[Strokes, Strokes]:
        index = torch.arange(30)
        below, above = (torch.where(part, leaves.feather, -1.0) for part in (index < 11, index >= 11))
        return leaves.replace(feather=below), leaves.replace(feather=above)

    for a, b in zip(gradients(masked), gradients(lambda x: (x[:, :11], x[:, 11:])), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4 * float(b.abs().max()))


@pytest.mark.gpu
@pytest.mark.usefixtures("deterministic_on_a_gpu")
@pytest.mark.parametrize("brush", ["round", "dry", "bitmap"])
def test_replayed_steps_are_called_steps_on_a_gpu(brush: str, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = _photos().cuda()
    replayed, again = (list(reconstruct(photos, 70, steps=120, brush=BRUSH[brush])) for _ in range(2))
    _assert_same(again, replayed)
    monkeypatch.setattr(step_graph, "_graph_on", lambda device: None)
    _assert_same(replayed, list(reconstruct(photos, 70, steps=120, brush=BRUSH[brush])))


@pytest.mark.gpu
def test_a_gpu_replays_without_waiting_and_gives_its_memory_back() -> None:
    photos = _photos().cuda()
    before = None
    for _ in range(3):
        painter = reconstruct(photos, 40, steps=40)
        next(painter), next(painter), next(painter)
        torch.cuda.set_sync_debug_mode("error")
        try:
            next(painter)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        painter.close()
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        reserved = torch.cuda.memory_reserved()
        assert before is None or reserved <= before
        before = reserved
