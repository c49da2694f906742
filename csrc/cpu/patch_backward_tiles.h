// The backward pass of `composite_patches`, a band of tiles at a time. First each tile by itself: down through its
// patches for what they lay on it and the transmittance above, then up with the colour below, which leaves the gradient
// of every sample. Then each patch by itself: from its samples in all tiles to its texels and its map. Nothing is
// divided by 1 - alpha, and no two threads add to one place.
#pragma once

#include "patch_tiles.h"

NP_MATH_BEGIN

// Samples that are kept at a time, in numbers: a band of tiles, at least one, has no more. They fit into the caches of
// two cores, as they are written, taken up and read again.
constexpr int64_t kPatchBandValues = int64_t(1) << 19;

// Gradients of shared patches are summed per group of strokes and then over groups, in an order that no number of
// threads changes.
constexpr int64_t kPatchGroups = 16;
constexpr int64_t kMaxPatchGroupValues = int64_t(1) << 25;

// Outputs, contiguous; null where not wanted.
template <typename T>
struct PatchGradients {
  T *patches, *transform, *color, *opacity, *background;
};

// A patch in a tile: the packs that it reaches, and where their samples begin.
template <typename T>
struct PatchPair {
  Reach<T> reach;
  int64_t packs;  // before this one's
};

template <typename T>
class PatchTileGradient {
  static constexpr int W = kLanes<T>;
  using V = Pack<T, W>;

 public:
  PatchTileGradient(const PatchScene<T>& scene, const PatchBins<T>& bins, const View<T, 4>& grad, T* d_background)
      : scene_(scene), bins_(bins), grad_view_(grad), d_background_(d_background), patch_(scene, bins) {}

  // `samples` are those of the band, which begins at `first_pack`, `factors` the gradients of the colours and the
  // opacity of the tile's pairs.
  void run(int64_t index, const PatchPair<T>* pairs, T* samples, int64_t first_pack, T* factors) {
    const RowTile tile(scene_, index);
    const int64_t listed = bins_.offsets[index + 1] - bins_.offsets[index];
    const int32_t* const list = bins_.strokes.data() + bins_.offsets[index];
    std::fill_n(factors, listed * (scene_.channels + 1), T(0));
    start(tile);
    for (int64_t i = listed - 1; i >= 0; --i) {
      T* at = samples + (pairs[i].packs - first_pack) * stride();
      patch_.look_at(tile, list[i]);
      pairs[i].reach.for_each_pack([&](int row, int first) { go_down(row, first, at), at += stride(); });
    }
    write_background(tile);
    for (int64_t i = 0; i < listed; ++i) {
      T* at = samples + (pairs[i].packs - first_pack) * stride();
      patch_.look_at(tile, list[i]);
      if (scene_.planes == 1)
        for (int64_t c = 0; c < scene_.channels; ++c) color_[c] = scene_.color(tile.batch, list[i], c);
      for (int64_t c = 0; c <= scene_.channels; ++c) sums_[c] = V(0);
      pairs[i].reach.for_each_pack([&](int row, int first) { go_up(row, first, at), at += stride(); });
      for (int64_t c = 0; c <= scene_.channels; ++c) factors[i * (scene_.channels + 1) + c] = sums_[c].sum();
    }
  }

  // Of a pack: the planes, and the transmittance above.
  int64_t stride() const { return (scene_.planes + 1) * W; }

 private:
  void start(const RowTile& tile) {
    std::fill_n(transmittance_, kTilePixels, T(1));
    std::fill_n(grad_, scene_.channels * kTilePixels, T(0));
    std::fill_n(below_, scene_.channels * kTilePixels, T(0));
    for (int64_t c = 0; c < scene_.channels; ++c) {
      tile.read(grad_view_, c, grad_ + c * kTilePixels);
      tile.read(scene_.background, c, below_ + c * kTilePixels);
    }
  }

  void write_background(const RowTile& tile) {
    if (d_background_ == nullptr) return;
    for (int64_t c = 0; c < scene_.channels; ++c) {
      for (int i = 0; i < kTilePixels; ++i) plane_[i] = transmittance_[i] * grad_[c * kTilePixels + i];
      tile.write(plane_, scene_, c, d_background_);
    }
  }

  NP_HOST_DEVICE void go_down(int row, int first, T* at) {
    V planes[kMaxChannels + 1];
    patch_.sample(row, first, planes);
    T* const kept = transmittance_ + row * kTile + first;
    const V above = V::load(kept);
    for (int64_t p = 0; p < scene_.planes; ++p) planes[p].store(at + p * W);
    above.store(at + scene_.planes * W);
    attenuate(above, V(patch_.opacity) * planes[scene_.planes - 1]).store(kept);
  }

  // Takes what was sampled, leaves its gradient.
  NP_HOST_DEVICE void go_up(int row, int first, T* at) {
    const int64_t channels = scene_.channels, last = scene_.planes - 1;
    const V opacity(patch_.opacity), sampled = V::load(at + last * W), alpha = opacity * sampled;
    const V above = V::load(at + (last + 1) * W), share = above * opacity;
    V d_alpha(0), d_opacity(0);  // over the transmittance above
    for (int64_t c = 0; c < channels; ++c) {
      const int64_t pixel = c * kTilePixels + row * kTile + first;
      const V grad = V::load(grad_ + pixel), under = V::load(below_ + pixel);
      if (last == 0) {
        const V color(color_[c]);
        d_alpha += over_d_alpha(grad, under, color);
        sums_[c] += grad * (above * alpha);
        over(under, color, alpha).store(below_ + pixel);
      } else {
        const V paint = V::load(at + c * W);
        d_alpha += V(0) - grad * under;
        d_opacity += grad * (paint - sampled * under);
        (grad * share).store(at + c * W);
        ((V(1) - alpha) * under + opacity * paint).store(below_ + pixel);
      }
    }
    if (last == 0) d_opacity = d_alpha * sampled;
    sums_[channels] += d_opacity * above;
    (d_alpha * share).store(at + last * W);
  }

  const PatchScene<T>& scene_;
  const PatchBins<T>& bins_;
  const View<T, 4>& grad_view_;
  T* const d_background_;
  TilePatch<T> patch_;
  T color_[kMaxChannels];
  V sums_[kMaxChannels + 1];  // gradients of the colour and of the opacity of the patch at hand
  alignas(64) T transmittance_[kTilePixels];
  alignas(64) T grad_[kMaxChannels * kTilePixels], below_[kMaxChannels * kTilePixels];
  alignas(64) T plane_[kTilePixels];
};

// What the patches reach, for every entry of every tile's list.
template <typename T>
std::vector<PatchPair<T>> find_pairs(const PatchScene<T>& scene, const PatchBins<T>& bins) {
  std::vector<PatchPair<T>> pairs(bins.strokes.size());
  for_each_unit(
      tiles(scene), [&] { return TilePatch<T>(scene, bins); },
      [&](TilePatch<T>& patch, int64_t index) {
        const RowTile tile(scene, index);
        for (int64_t i = bins.offsets[index]; i < bins.offsets[index + 1]; ++i) {
          patch.look_at(tile, bins.strokes[i]);
          pairs[i].reach = patch.reach(tile);
        }
      });
  int64_t packs = 0;
  for (PatchPair<T>& pair : pairs) {
    pair.packs = packs;
    packs += pair.reach.count();
  }
  return pairs;
}

// The gradient of one patch's samples in one tile, added to its texels and to that of its map.
template <typename T>
void add_samples(const TilePatch<T>& patch, const PatchPair<T>& pair, const T* samples, int64_t stride, T* d_texels,
                 PlaceGradient<T>& sum) {
  using V = Pack<T, kLanes<T>>;
  PlaceGradient<V> sums{{V(0), V(0)}, {V(0), V(0)}, {V(0), V(0)}};
  pair.reach.for_each_pack([&](int row, int first) {
    V d_planes[kMaxChannels + 1];
    for (int64_t p = 0; p < stride / kLanes<T> - 1; ++p) d_planes[p] = V::load(samples + p * kLanes<T>);
    patch.sample_backward(row, first, d_planes, d_texels, sums);
    samples += stride;
  });
  const auto add = [](Vec2<V> from, Vec2<T>& to) {
    to.x += from.x.sum();
    to.y += from.y.sum();
  };
  add(sums.sum, sum.sum);
  add(sums.x_by_place, sum.x_by_place);
  add(sums.y_by_place, sum.y_by_place);
}

template <typename T>
void paint_patches_backward(const PatchScene<T>& scene, const View<T, 4>& grad, const PatchGradients<T>& out,
                            int64_t patch_values) {
  using Gradient = PatchTileGradient<T>;
  constexpr int W = kLanes<T>;
  const PatchBins<T> bins(scene);
  const std::vector<PatchPair<T>> pairs = find_pairs(scene, bins);
  const int64_t strokes = scene.batch * scene.count, tile_count = tiles(scene), stride = (scene.planes + 1) * W;
  const int64_t factors_size = scene.channels + 1, texels = int64_t(scene.patch_height) * scene.patch_width;
  const auto packs_before = [&](int64_t tile) {
    const int64_t i = bins.offsets[tile];
    if (i < int64_t(pairs.size())) return pairs[i].packs;
    return pairs.empty() ? int64_t(0) : pairs.back().packs + pairs.back().reach.count();
  };
  std::vector<T> factor_sums(strokes * factors_size, T(0));
  std::vector<PlaceGradient<T>> place_sums(strokes, PlaceGradient<T>{});
  // Patches of their own have one writer each: parts of the strokes are threads' work. Shared ones have one for each
  // group of strokes.
  const bool summed = out.patches != nullptr && scene.shared > 0;
  const int64_t parts =
      summed ? std::clamp<int64_t>(kMaxPatchGroupValues / std::max<int64_t>(patch_values, 1), 1, kPatchGroups)
             : 2 * torch::stable::get_num_threads();
  std::vector<T> group_sums(summed ? parts * patch_values : 0, T(0));
  if (out.patches != nullptr) std::fill_n(out.patches, patch_values, T(0));

  for (int64_t begin = 0, end; begin < tile_count; begin = end) {
    end = begin + 1;
    while (end < tile_count && (packs_before(end + 1) - packs_before(begin)) * stride <= kPatchBandValues) ++end;
    const int64_t first_pair = bins.offsets[begin], first_pack = packs_before(begin);
    // Not vectors: every tile fills its own part.
    const std::unique_ptr<T[]> samples(new T[(packs_before(end) - first_pack) * stride]);
    const std::unique_ptr<T[]> factors(new T[(bins.offsets[end] - first_pair) * factors_size]);
    for_each_unit(
        end - begin, [&] { return std::make_unique<Gradient>(scene, bins, grad, out.background); },
        [&](auto& worker, int64_t unit) {
          const int64_t pair = bins.offsets[begin + unit];
          worker->run(begin + unit, pairs.data() + pair, samples.get(), first_pack,
                      &factors[(pair - first_pair) * factors_size]);
        });
    for_each_unit(
        parts, [&] { return TilePatch<T>(scene, bins); },
        [&](TilePatch<T>& patch, int64_t part) {
          const int64_t first = part * scene.count / parts, last = (part + 1) * scene.count / parts;
          for (int64_t index = begin; index < end; ++index) {
            const RowTile tile(scene, index);
            const auto list = bins.strokes.begin(), list_end = list + bins.offsets[index + 1];
            for (auto it = std::lower_bound(list + bins.offsets[index], list_end, first); it != list_end && *it < last;
                 ++it) {
              patch.look_at(tile, *it);
              const int64_t pair = it - list, stroke = tile.batch * scene.count + *it;
              for (int64_t i = 0; i < factors_size; ++i)
                factor_sums[stroke * factors_size + i] += factors[(pair - first_pair) * factors_size + i];
              T* const to = out.patches == nullptr ? nullptr : summed ? &group_sums[part * patch_values] : out.patches;
              add_samples(patch, pairs[pair], &samples[(pairs[pair].packs - first_pack) * stride], stride,
                          to == nullptr ? to : to + patch.index * scene.planes * texels, place_sums[stroke]);
            }
          }
        });
  }

  for (int64_t stroke = 0; stroke < strokes; ++stroke) {
    const T* const sums = &factor_sums[stroke * factors_size];
    if (out.color != nullptr) std::copy_n(sums, scene.channels, out.color + stroke * scene.channels);
    if (out.opacity != nullptr) out.opacity[stroke] = sums[scene.channels];
    const Patch<T>& patch = bins.patches[stroke];
    const Affine<T> d_map = patch.is_shown() ? place_backward(patch.placed, place_sums[stroke]) : Affine<T>{};
    const T rows[6] = {d_map.xx, d_map.xy, d_map.x, d_map.yx, d_map.yy, d_map.y};
    std::copy_n(rows, 6, out.transform + stroke * 6);
  }
  for (int64_t part = 0; summed && part < parts; ++part)
    for (int64_t i = 0; i < patch_values; ++i) out.patches[i] += group_sums[part * patch_values + i];
}

NP_MATH_END
