"""Neural painters: networks that paint the stroke of an action, and their files (docs/neural_painters.md)."""

from neural_paint.painters.base import NeuralPainter
from neural_paint.painters.canvas import Grid, NeuralCanvas, connect, grey, opaque, palette, place_strokes, thin
from neural_paint.painters.checkpoints import load_painter, save_painter
from neural_paint.painters.dab import DabPainter
from neural_paint.painters.gan import Critic, GANPainter, Generator
from neural_paint.painters.npx import NPXPainter
from neural_paint.painters.pretrained import pretrained_painters, provenance
from neural_paint.painters.stroke_data import StrokeData
from neural_paint.painters.vae import ActionPredictor, Decoder, Encoder, VAEPainter, reparameterise

__all__ = [
    "ActionPredictor",
    "Critic",
    "DabPainter",
    "Decoder",
    "Encoder",
    "GANPainter",
    "Generator",
    "Grid",
    "NPXPainter",
    "NeuralCanvas",
    "NeuralPainter",
    "StrokeData",
    "VAEPainter",
    "connect",
    "grey",
    "load_painter",
    "opaque",
    "palette",
    "place_strokes",
    "pretrained_painters",
    "provenance",
    "reparameterise",
    "save_painter",
    "thin",
]
