"""Frozen classifiers of photographs, their features, and losses on them."""

from neural_paint.perception.efficientnet import EfficientNetLite0
from neural_paint.perception.feature_loss import FeatureLoss
from neural_paint.perception.network import FeatureNetwork, NetworkMissing
from neural_paint.perception.vgg import VGG16BN

__all__ = ["VGG16BN", "EfficientNetLite0", "FeatureLoss", "FeatureNetwork", "NetworkMissing"]
