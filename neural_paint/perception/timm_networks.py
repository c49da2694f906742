"""Convolutional networks of timm, which fetches their weights once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import nn

from neural_paint.perception.named_modules import NamedModules
from neural_paint.perception.network import NetworkMissing
from neural_paint.perception.suggestions import did_you_mean, near

TIMM = "timm/"
_LABELS = 1000


def adapt_timm(name: str, network: nn.Module) -> NamedModules:
    """timm's network; its layers are the last of each scale, by their paths."""
    config: dict[str, Any] = network.pretrained_cfg  # type: ignore[assignment]
    if config["fixed_input_size"]:
        raise ValueError(f"network must be convolutional to take pictures of any size, got {name!r}")
    stages: Iterable[dict[str, Any]] = network.feature_info  # type: ignore[assignment]
    paths = [stage["module"] for stage in stages]
    return NamedModules(
        name,
        network,
        dict(zip(paths, paths, strict=True)),
        mean=config["mean"],
        deviation=config["std"],
        input_size=config["input_size"][-1],
        is_classifier=config["num_classes"] == _LABELS,
    )


def load_timm(name: str) -> NamedModules:
    try:
        import timm
    # RuntimeError: of a torchvision that was built for another torch.
    except (ImportError, RuntimeError):
        what = f"{name} needs timm, and the torchvision of this torch: pip install timm torchvision huggingface_hub"
        raise NetworkMissing(what) from None
    model = name.removeprefix(TIMM)
    if not timm.is_model(model):
        matches = near(model, (known.partition(".")[0] for known in timm.list_models(pretrained=True)))
        what = did_you_mean([TIMM + match for match in matches])
        raise ValueError(f"network must be one of timm's, got {name!r}" + what)
    try:
        network = timm.create_model(model, pretrained=True)
    # What it fetches with has errors of its own.
    except Exception as error:
        raise NetworkMissing(f"{name} needs weights that timm downloads once, and cannot: {error}") from error
    return adapt_timm(name, network)
