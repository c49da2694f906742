// Three channels that lie pixel by pixel in memory, as in a channels-last picture, and as one register for each.
#pragma once

#include <utility>

#include "pack.h"

NP_MATH_BEGIN

// Lanes of `a` and `b`, one after the other, by number: lane i is number At{}(i).
template <typename T, typename At, int... I>
NP_HOST_DEVICE typename Register<T>::Value shuffle(typename Register<T>::Value a, typename Register<T>::Value b, At,
                                                   std::integer_sequence<int, I...>) {
#if defined(__clang__)
  return __builtin_shufflevector(a, b, At{}(I)...);
#else
  return __builtin_shuffle(a, b, typename Register<T>::Mask{At{}(I)...});
#endif
}

// Of channel C among three registers with a pixel's three numbers side by side.
template <int C, typename T>
NP_HOST_DEVICE typename Register<T>::Value channel(typename Register<T>::Value a, typename Register<T>::Value b,
                                                   typename Register<T>::Value c) {
  constexpr int lanes = Register<T>::lanes;
  constexpr std::make_integer_sequence<int, lanes> each;
  const auto of_first_two = [](int i) { return 3 * i + C < 2 * lanes ? 3 * i + C : 0; };
  const auto of_all = [](int i) { return 3 * i + C < 2 * lanes ? i : 3 * i + C - lanes; };
  return shuffle<T>(shuffle<T>(a, b, of_first_two, each), c, of_all, each);
}

// The Q-th of three registers with the numbers of each pixel side by side, of one register for each channel.
template <int Q, typename T>
NP_HOST_DEVICE typename Register<T>::Value interleaved(typename Register<T>::Value a, typename Register<T>::Value b,
                                                       typename Register<T>::Value c) {
  constexpr int lanes = Register<T>::lanes;
  constexpr std::make_integer_sequence<int, lanes> each;
  const auto of_first_two = [](int i) {
    const int at = Q * lanes + i;
    return at % 3 < 2 ? at % 3 * lanes + at / 3 : 0;
  };
  const auto of_all = [](int i) {
    const int at = Q * lanes + i;
    return at % 3 < 2 ? i : lanes + at / 3;
  };
  return shuffle<T>(shuffle<T>(a, b, of_first_two, each), c, of_all, each);
}

template <typename T>
NP_HOST_DEVICE typename Register<T>::Value load_register(const T* from) {
  return Pack<T, Register<T>::lanes>::load(from).part[0];
}

template <typename T>
NP_HOST_DEVICE void store_register(typename Register<T>::Value value, T* to) {
  Pack<T, Register<T>::lanes> pack;
  pack.part[0] = value;
  pack.store(to);
}

template <typename T, int W>
NP_HOST_DEVICE void load_interleaved(const T* from, Pack<T, W> (&channels)[3]) {
  constexpr int lanes = Register<T>::lanes;
  for (int r = 0; r < W / lanes; ++r, from += 3 * lanes) {
    const auto a = load_register(from), b = load_register(from + lanes), c = load_register(from + 2 * lanes);
    channels[0].part[r] = channel<0, T>(a, b, c);
    channels[1].part[r] = channel<1, T>(a, b, c);
    channels[2].part[r] = channel<2, T>(a, b, c);
  }
}

template <typename T, int W>
NP_HOST_DEVICE void store_interleaved(const Pack<T, W> (&channels)[3], T* to) {
  constexpr int lanes = Register<T>::lanes;
  for (int r = 0; r < W / lanes; ++r, to += 3 * lanes) {
    const auto a = channels[0].part[r], b = channels[1].part[r], c = channels[2].part[r];
    store_register(interleaved<0, T>(a, b, c), to);
    store_register(interleaved<1, T>(a, b, c), to + lanes);
    store_register(interleaved<2, T>(a, b, c), to + 2 * lanes);
  }
}

NP_MATH_END
