// The CUDA kernels of `composite_patches` over the emulator: patches in, the image and the gradients out.
#include "arrays.h"
#include "cuda/patch_backward.cuh"
#include "cuda/patch_forward.cuh"
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
PatchScene<T> make_scene(const Arrays& in) {
  PatchScene<T> scene;
  const Array<T> patches = in.get<T>("patches"), transform = in.get<T>("transform"),
                 background = in.get<T>("background");
  scene.batch = transform.shape[0];
  scene.count = transform.shape[1];
  scene.channels = background.shape[1];
  scene.height = background.shape[2];
  scene.width = background.shape[3];
  scene.planes = patches.shape[2];
  scene.patch_height = static_cast<int32_t>(patches.shape[3]);
  scene.patch_width = static_cast<int32_t>(patches.shape[4]);
  scene.background = view<4>(background);
  scene.patches = view<5>(patches);
  scene.transform = view<4>(transform);
  scene.shared = -1;
  if (const Array<int64_t> patch_id = in.get<int64_t>("patch_id")) {
    scene.shared = patches.shape[1];
    scene.patch_id = view<2>(patch_id);
  }
  if (const Array<T> color = in.get<T>("color")) scene.color = view<3>(color);
  const Array<T> opacity = in.get<T>("opacity");
  scene.has_opacity = bool(opacity);
  if (opacity) scene.opacity = view<2>(opacity);
  return scene;
}

template <typename T>
PatchSums<T> patch_sums(const Arrays& in, Arrays& out) {
  const auto like = [&](const std::string& name) {
    const Array<T> array = in.get<T>(name);
    return array ? out.make<T>("d_" + name, array.shape) : array;
  };
  PatchSums<T> sums;
  const Array<T> transform = like("transform"), patches = like("patches"), color = like("color");
  sums.transform = transform.data;
  sums.opacity = like("opacity").data;
  sums.color = color.data;
  sums.channels = color ? static_cast<int>(color.shape[2]) : 0;
  std::fill_n(patches.data, patches.size(), T(0));
  sums.texture = patches.data;
  sums.strokes = transform.shape[0] * transform.shape[1];
  sums.texels = patches.size();
  return sums;
}

// Patches set up and binned.
template <typename T>
struct Binned {
  std::vector<PreparedPatch<T>> patches;
  BinnedPatches<T> binned;
  std::vector<uint32_t> words;

  template <typename Begin>
  Binned(const PatchScene<T>& scene, Begin begin)
      : patches(scene.batch * scene.count), binned(scene, patches.data()), words(binned.coarse_words()) {
    binned.words = words.data();
    run_blocks(ceil_div(scene.batch * binned.words_per_tile() * 32, kBinThreads), kBinThreads, 0,
               [&](HostBlock& block) { bin_body(block, binned, begin); });
  }
};

template <typename T>
Arrays composite(const Arrays& in) {
  Arrays out;
  const PatchScene<T> scene = make_scene<T>(in);
  const std::vector<int64_t> shape = {scene.batch, scene.channels, scene.height, scene.width};
  T* const image = out.make<T>("image", shape).data;
  const Binned<T> forward(scene, [](int64_t) {});
  run_blocks(forward.binned.tiles(), kRasterThreads, PatchForwardShared<HostBlock, T>::bytes(scene.channels),
             [&](HostBlock& block) { patch_forward_body(block, forward.binned, image); });
  const Array<T> grad = in.get<T>("grad");
  if (!grad) return out;

  PatchSums<T> sums = patch_sums<T>(in, out);
  const Binned<T> backward(scene, [&](int64_t patch) { sums.clear(patch); });
  std::vector<int64_t> digits;
  if (*in.get<uint8_t>("deterministic").data) {
    digits.resize(ExactSums<T>::kPlanes * sums.numbers());
    sums.exact = {digits.data(), sums.numbers()};
  }
  const PatchBackward<T> gradients{view<4>(grad), sums, out.make<T>("d_background", shape).data};
  run_blocks(backward.binned.tiles(), kRasterThreads, PatchBackwardShared<HostBlock, T>::bytes(scene.channels),
             [&](HostBlock& block) { patch_backward_body(block, backward.binned, gradients); });
  if (!digits.empty())
    for (int64_t i = 0; i < sums.numbers(); ++i) sums.round(i);
  return out;
}

}  // namespace

// Usage: composite_patches FILE_IN FILE_OUT
int main(int, char** arguments) {
  const Arrays in(arguments[1]);
  const bool is_double = *in.get<uint8_t>("is_double").data;
  (is_double ? composite<double>(in) : composite<float>(in)).save(arguments[2]);
}
