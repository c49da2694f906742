// Every operator of the library, by schema, and the Python module that loads it: the contents page of the C++ side.
#include <Python.h>
#include <torch/csrc/stable/library.h>

#include "cpu/instruction_set.h"

STABLE_TORCH_LIBRARY(neural_paint, m) {
  // N strokes composited over a background, and what the backward pass needs of it (empty where `segments`
  // is 0): cpu/paint.cpp.
  // Fields as in neural_paint/strokes.py, all of the dtype of `points` but for int64 `texture_id`; color (B, N, C) or
  // (B, N, 1 or 2, C), opacity (B, N) or (B, N, 1 or 2), background (1 or B, C, H, W). Any strides.
  m.def(
      "paint(Tensor points, Tensor radius, Tensor color, Tensor opacity, Tensor feather, Tensor? texture, "
      "Tensor? texture_id, Tensor background, float t_min, int segments) "
      "-> (Tensor image, Tensor transmittance, Tensor checkpoints, Tensor evaluated)");
  // Gradients of everything that has one, in the shape of what they are gradients of; but `d_background` is that of
  // each canvas, (B, C, H, W). `d_texture` and `d_background` are empty where they are not asked for: cpu/paint.cpp.
  m.def(
      "paint_backward(Tensor grad, Tensor points, Tensor radius, Tensor color, Tensor opacity, Tensor feather, "
      "Tensor? texture, Tensor? texture_id, Tensor background, Tensor transmittance, Tensor checkpoints, "
      "Tensor evaluated, float t_min, bool texture_gradient, bool background_gradient, bool deterministic) "
      "-> (Tensor d_points, Tensor d_radius, Tensor d_color, Tensor d_opacity, Tensor d_feather, Tensor d_texture, "
      "Tensor d_background)");
  // N patches laid over a background by affine maps: cpu/composite_patches.cpp.
  // patches (B, N, P, h, w), or shared (K, P, h, w) with int64 patch_id (B, N); P is 1, alpha, with `color` (B, N, C),
  // else C + 1, colour and alpha. transform (B, N, 2, 3), opacity (B, N), background (1 or B, C, H, W). Any strides.
  m.def(
      "composite_patches(Tensor patches, Tensor? patch_id, Tensor transform, Tensor? color, Tensor? opacity, "
      "Tensor background) -> Tensor image");
  // Gradients in the shape of what they are gradients of; but `d_background` is that of each canvas. Empty where there
  // is none or it is not asked for.
  m.def(
      "composite_patches_backward(Tensor grad, Tensor patches, Tensor? patch_id, Tensor transform, Tensor? color, "
      "Tensor? opacity, Tensor background, bool patches_gradient, bool background_gradient, bool deterministic) "
      "-> (Tensor d_patches, Tensor d_transform, Tensor d_color, Tensor d_opacity, Tensor d_background)");
  // Stroke vectors (B, N, P) of `kind` made into numbers (B, N, F) of strokes on a canvas, with the constants of
  // MyPaint's brush; P and F as in decode.h: cpu/decode_strokes.cpp. Any strides.
  m.def("decode_strokes(Tensor vectors, int kind, int height, int width, float[] brush) -> Tensor strokes");
  m.def(
      "decode_strokes_backward(Tensor grad, Tensor vectors, int kind, int height, int width, float[] brush) "
      "-> Tensor d_vectors");
  // Alpha (N, h, w) of strokes (N, C, h, w) on white, or of what sigmoid makes them of, and what the backward pass
  // needs of each: the darkness, summed over the channels, that it was divided by, and the number of the pixel it is
  // that of, -1 where the stroke is white: cpu/stroke_mask.cpp.
  m.def("stroke_mask(Tensor strokes, bool logits) -> (Tensor alpha, Tensor darkest, Tensor place)");
  m.def(
      "stroke_mask_backward(Tensor grad, Tensor strokes, Tensor darkest, Tensor place, bool logits, "
      "bool channels_last) -> Tensor d_strokes");
  // The CPU's instruction set in use, after another was asked for (negative: none): cpu/instruction_set.cpp.
  m.def("use_instruction_set(int wanted) -> int");
  // Boxes (B, N, 4) outside which strokes leave no paint: cpu/stroke_bounds.cpp, cuda/stroke_bounds.cu.
  m.def("stroke_bounds(Tensor points, Tensor radius, Tensor feather) -> Tensor");
}

// Importing the module loads the library, which registers the operators above. It holds two strings: which GPUs and
// which instruction sets of the CPU the library was built for.
PyMODINIT_FUNC PyInit__C() {
  static PyModuleDef definition = {
      PyModuleDef_HEAD_INIT, "_C", nullptr, -1, nullptr, nullptr, nullptr, nullptr, nullptr};
  PyObject* module = PyModule_Create(&definition);
  if (module && (PyModule_AddStringConstant(module, "cuda_architectures", NEURAL_PAINT_CUDA_ARCHITECTURES) < 0 ||
                 PyModule_AddStringConstant(module, "instruction_sets", neural_paint::kInstructionSets) < 0)) {
    Py_CLEAR(module);
  }
  return module;
}
