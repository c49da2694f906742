// The CUDA kernels of `paint` over the emulator: a scene in, the image, what is saved, and the gradients out.
#include "arrays.h"
#include "cuda/paint_backward.cuh"
#include "emulator.h"
#include "views.h"

namespace {

using namespace neural_paint;
using emulator::Array;
using emulator::Arrays;
using emulator::HostBlock;
using emulator::run_blocks;
using emulator::view;

template <typename T>
Scene<T> make_scene(const Arrays& in) {
  Scene<T> scene;
  const Array<T> points = in.get<T>("points"), color = in.get<T>("color"), background = in.get<T>("background");
  scene.batch = points.shape[0];
  scene.strokes = points.shape[1];
  scene.channels = background.shape[1];
  scene.height = background.shape[2];
  scene.width = background.shape[3];
  scene.color_ends = static_cast<int>(color.shape[2]);
  scene.opacity_ends = static_cast<int>(in.get<T>("opacity").shape[2]);
  scene.closing = closing_transmittance(*in.get<T>("t_min").data);
  scene.points = view<4>(points);
  scene.color = view<4>(color);
  scene.background = view<4>(background);
  scene.radius = view<3>(in.get<T>("radius"));
  scene.opacity = view<3>(in.get<T>("opacity"));
  scene.feather = view<2>(in.get<T>("feather"));
  if (const Array<T> texture = in.get<T>("texture")) {
    scene.textures = texture.shape[0];
    scene.first_texture = {texture.data, texture.shape[1], texture.shape[2]};
    scene.texture_id = view<2>(in.get<int64_t>("texture_id"));
  }
  return scene;
}

// Gradients in the shapes of their fields, as yet without a value.
template <typename T, int D>
FieldGradients<T, D> field_gradients(const Arrays& in, Arrays& out, const Scene<T>& scene) {
  const auto like = [&](const std::string& name) { return out.make<T>("d_" + name, in.get<T>(name).shape); };
  FieldGradients<T, D> sums;
  sums.points = like("points").data;
  sums.radius = like("radius").data;
  sums.feather = like("feather").data;
  sums.opacity = like("opacity").data;
  sums.color = like("color").data;
  sums.strokes = scene.batch * scene.strokes;
  sums.channels = static_cast<int>(scene.channels);
  sums.opacity_ends = scene.opacity_ends;
  sums.color_ends = scene.color_ends;
  if (scene.textures == 0) return sums;
  const Array<T> texture = like("texture");
  std::fill_n(texture.data, texture.size(), T(0));
  sums.texture = texture.data;
  sums.texels = texture.size();
  return sums;
}

// Strokes set up and binned, into coarse tiles of the size that the input asks for.
template <typename T, int D>
struct BinnedStrokes {
  std::vector<Prepared<T, D>> strokes;
  Binned<T, D> binned;
  std::vector<uint32_t> words;

  template <typename Begin>
  BinnedStrokes(const Arrays& in, const Scene<T>& scene, Begin begin)
      : strokes(scene.batch * scene.strokes), binned(scene, strokes.data()) {
    binned.coarse_shift = static_cast<int>(*in.get<int64_t>("coarse_shift").data);
    words.resize(binned.coarse_words());
    binned.words = words.data();
    run_blocks(ceil_div(scene.batch * binned.words_per_tile() * 32, kBinThreads), kBinThreads, 0,
               [&](HostBlock& block) { bin_body(block, binned, begin); });
  }
};

// The layers of as many parts as the input asks for, or as the library takes where that is 0.
template <typename T>
class LayerMemory {
 public:
  template <int D>
  LayerMemory(const Arrays& in, const Binned<T, D>& binned) : LayerMemory(binned.scene, parts(in, binned)) {}

  const Layers<T>& operator*() const { return layers_; }

 private:
  LayerMemory(const Scene<T>& scene, int64_t parts)
      : layers_(make_layers<T>(scene.strokes, parts)),
        values_(planes(scene) * (scene.channels + 2), std::numeric_limits<T>::quiet_NaN()),
        evaluated_(planes(scene), -1) {
    layers_.values = values_.data();
    layers_.evaluated = evaluated_.data();
  }

  template <int D>
  static int64_t parts(const Arrays& in, const Binned<T, D>& binned) {
    const int64_t asked = *in.get<int64_t>("parts").data;
    return asked > 0 ? asked : choose_parts(binned);
  }

  int64_t planes(const Scene<T>& scene) const {
    return layers_.count > 1 ? layers_.count * scene.batch * scene.height * scene.width : 0;
  }

  Layers<T> layers_;
  std::vector<T> values_;
  std::vector<int32_t> evaluated_;
};

template <typename T, int D>
void run_forward(const Binned<T, D>& binned, const Painted<T>& out, const Layers<T>& layers) {
  run_blocks(binned.tiles() * layers.count, kRasterThreads,
             ForwardShared<HostBlock, T, D>::bytes(binned.scene.channels),
             [&](HostBlock& block) { forward_body(block, binned, out, layers); });
}

template <typename T, int D>
Arrays paint(const Arrays& in) {
  Arrays out;
  const Scene<T> scene = make_scene<T>(in);
  const int64_t b = scene.batch, c = scene.channels, h = scene.height, w = scene.width;

  Painted<T> painted{out.make<T>("image", {b, c, h, w}).data, nullptr, nullptr, nullptr,
                     *in.get<int64_t>("segments").data};
  const Array<T> grad = in.get<T>("grad");
  Array<T> transmittance, checkpoints;
  Array<int32_t> evaluated;
  if (grad) {
    transmittance = out.make<T>("transmittance", {b, h, w});
    checkpoints = out.make<T>("checkpoints", {b, painted.segments - 1, h, w});
    evaluated = out.make<int32_t>("evaluated", {b, h, w});
    painted.transmittance = transmittance.data;
    painted.checkpoints = checkpoints.data;
    painted.evaluated = evaluated.data;
  }
  {
    const BinnedStrokes<T, D> forward(in, scene, [](int64_t) {});
    const LayerMemory<T> layers(in, forward.binned);
    *out.make<int32_t>("parts", {1}).data = (*layers).count;
    run_forward(forward.binned, painted, *layers);
    if ((*layers).count > 1)
      for (int64_t i = 0; i < b * h * w; ++i) merge_layers(forward.binned, *layers, painted, i);
  }
  if (!grad) return out;

  const Incoming<T> incoming{view<4>(grad), view<3>(transmittance), view<4>(checkpoints), view<3>(evaluated),
                             painted.segments};
  FieldGradients<T, D> sums = field_gradients<T, D>(in, out, scene);
  const BinnedStrokes<T, D> backward(in, scene, [&](int64_t stroke) { sums.clear(stroke); });
  std::vector<int64_t> digits;
  if (*in.get<uint8_t>("deterministic").data) {
    digits.resize(ExactSums<T>::kPlanes * sums.numbers());
    sums.exact = {digits.data(), sums.numbers()};
  }
  const Gradients<T, D> gradients{sums, out.make<T>("d_background", {b, c, h, w}).data};
  const LayerMemory<T> layers(in, backward.binned);
  if ((*layers).count > 1) run_forward(backward.binned, Painted<T>{nullptr, nullptr, nullptr, nullptr, 1}, *layers);
  run_blocks(backward.binned.tiles() * (*layers).count, kRasterThreads, BackwardShared<HostBlock, T, D>::bytes(c),
             [&](HostBlock& block) { backward_body(block, backward.binned, incoming, *layers, gradients); });
  if (!digits.empty())
    for (int64_t i = 0; i < sums.numbers(); ++i) sums.round(i);
  return out;
}

template <typename T>
Arrays paint(const Arrays& in) {
  switch (in.get<T>("points").shape[2]) {
    case 1:
      return paint<T, 1>(in);
    case 2:
      return paint<T, 2>(in);
    case 3:
      return paint<T, 3>(in);
    default:
      return paint<T, 4>(in);
  }
}

}  // namespace

// Usage: paint FILE_IN FILE_OUT
int main(int, char** arguments) {
  const Arrays in(arguments[1]);
  const bool is_double = *in.get<uint8_t>("is_double").data;
  (is_double ? paint<double>(in) : paint<float>(in)).save(arguments[2]);
}
