// Named arrays in a file, to and from NumPy (emulated.py). An array is a line "name type shape...", such as
// "points float32 3 2", and then its values, little-endian and in C order.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <sstream>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

namespace emulator {

template <typename T>
struct Array {
  T* data = nullptr;
  std::vector<int64_t> shape;

  explicit operator bool() const { return data != nullptr; }
  int64_t size() const { return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>()); }
};

template <typename T>
constexpr const char* type_name() {
  if constexpr (std::is_same_v<T, float>) return "float32";
  if constexpr (std::is_same_v<T, double>) return "float64";
  if constexpr (std::is_same_v<T, uint8_t>) return "uint8";
  if constexpr (std::is_same_v<T, int32_t>) return "int32";
  if constexpr (std::is_same_v<T, uint32_t>) return "uint32";
  if constexpr (std::is_same_v<T, int64_t>) return "int64";
}

class Arrays {
 public:
  Arrays() = default;

  explicit Arrays(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw std::runtime_error("cannot read " + path);
    for (std::string line; std::getline(file, line);) {
      std::istringstream words(line);
      std::string name;
      Entry entry;
      words >> name >> entry.type;
      for (int64_t extent; words >> extent;) entry.shape.push_back(extent);
      entry.allocate(type_bytes(entry.type));
      if (!file.read(entry.data.get(), entry.bytes)) throw std::runtime_error(path + " ends within " + name);
      entries_[name] = std::move(entry);
    }
  }

  // The array of that name; without data if there is none.
  template <typename T>
  Array<T> get(const std::string& name) const {
    const auto found = entries_.find(name);
    if (found == entries_.end()) return {};
    const Entry& entry = found->second;
    if (entry.type != type_name<T>()) {
      throw std::runtime_error(name + " must be of type " + type_name<T>() + ", got " + entry.type);
    }
    return {reinterpret_cast<T*>(entry.data.get()), entry.shape};
  }

  // A copy of the values.
  template <typename T>
  void put(const std::string& name, const std::vector<int64_t>& shape, const T* values) {
    const Array<T> made = make<T>(name, shape);
    if (made.size()) std::memcpy(made.data, values, made.size() * sizeof(T));
  }

  // A new array, which belongs to this object: all bits set, NaN or -1, so that elements never written show.
  template <typename T>
  Array<T> make(const std::string& name, const std::vector<int64_t>& shape) {
    Entry& entry = entries_[name] = Entry{type_name<T>(), shape, nullptr, 0};
    entry.allocate(sizeof(T));
    return get<T>(name);
  }

  void save(const std::string& path) const {
    std::ofstream file(path, std::ios::binary);
    for (const auto& [name, entry] : entries_) {
      file << name << ' ' << entry.type;
      for (const int64_t extent : entry.shape) file << ' ' << extent;
      file << '\n';
      file.write(entry.data.get(), entry.bytes);
    }
    if (!file.flush()) throw std::runtime_error("cannot write " + path);
  }

 private:
  struct Entry {
    std::string type;
    std::vector<int64_t> shape;
    std::unique_ptr<char[]> data;  // of its own, so that AddressSanitizer sees one byte too many
    int64_t bytes = 0;

    void allocate(int64_t item_bytes) {
      bytes = std::accumulate(shape.begin(), shape.end(), item_bytes, std::multiplies<>());
      data.reset(new char[bytes]);
      std::memset(data.get(), 0xff, bytes);
    }
  };

  static int64_t type_bytes(const std::string& type) {
    if (type == "uint8") return 1;
    if (type == "float32" || type == "int32" || type == "uint32") return 4;
    if (type == "float64" || type == "int64") return 8;
    throw std::runtime_error("unknown type " + type);
  }

  std::map<std::string, Entry> entries_;
};

}  // namespace emulator
