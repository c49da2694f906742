"""Which painter it was: a number for its kind, architecture and weights."""

from __future__ import annotations

import hashlib
import json

import torch

from neural_paint.painters.base import NeuralPainter


def digest(painter: NeuralPainter) -> str:
    """SHA-256 of a painter, as hexadecimal digits: equal for painters that paint alike, on any device."""
    sha = hashlib.sha256(json.dumps([painter.kind, painter.architecture()], sort_keys=True).encode())
    for name, tensor in sorted(painter.state_dict().items()):
        tensor = tensor.detach().cpu().contiguous()
        sha.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        sha.update(tensor.reshape(-1).view(torch.uint8).numpy())
    return sha.hexdigest()
