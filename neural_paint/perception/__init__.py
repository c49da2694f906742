"""Frozen networks that know photographs, ImageNet's labels, random views for them, and losses on what they see."""

from neural_paint.perception.catalogue import DEFAULT_NETWORK, load_network, network_like, network_names
from neural_paint.perception.efficientnet import EfficientNetLite
from neural_paint.perception.feature_loss import FeatureLoss
from neural_paint.perception.labels import find_label, label_name, search_labels
from neural_paint.perception.network import FeatureNetwork, NetworkMissing
from neural_paint.perception.published_terms import NPX_TERMS
from neural_paint.perception.style_loss import GramStyleLoss, StyleMissing, TransportStyleLoss
from neural_paint.perception.transforms import CLASS_PT, CLASS_TF, STYLE_PT, STYLE_TF, Transform, Views

__all__ = [
    "CLASS_PT",
    "CLASS_TF",
    "DEFAULT_NETWORK",
    "NPX_TERMS",
    "STYLE_PT",
    "STYLE_TF",
    "EfficientNetLite",
    "FeatureLoss",
    "FeatureNetwork",
    "GramStyleLoss",
    "NetworkMissing",
    "StyleMissing",
    "Transform",
    "TransportStyleLoss",
    "Views",
    "find_label",
    "label_name",
    "load_network",
    "network_like",
    "network_names",
    "search_labels",
]
