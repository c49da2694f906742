"""The operators in plain PyTorch: the specification that every backend is tested against, and the baseline of every
benchmark. Gradients come from autograd, and double backward works."""

from neural_paint.reference.decode import decode_strokes
from neural_paint.reference.patches import composite_patches, stroke_mask
from neural_paint.reference.strokes import paint

__all__ = ["composite_patches", "decode_strokes", "paint", "stroke_mask"]
