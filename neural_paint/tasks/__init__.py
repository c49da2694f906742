"""What can be painted: one file a job. Each job is a generator, so that the loop belongs to the caller."""

from neural_paint.tasks.reconstruct import Step, reconstruct
from neural_paint.tasks.render import render, render_bands
from neural_paint.tasks.sketch import SketchStep, sketch
from neural_paint.tasks.stylize import StylizeStep, stylize
from neural_paint.tasks.timelapse import timelapse
from neural_paint.tasks.visualize import VisualizeStep, visualize

__all__ = [
    "SketchStep",
    "Step",
    "StylizeStep",
    "VisualizeStep",
    "reconstruct",
    "render",
    "render_bands",
    "sketch",
    "stylize",
    "timelapse",
    "visualize",
]
