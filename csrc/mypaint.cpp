// The real MyPaint for Python, as neural_paint._mypaint: strokes of neural painters' actions, drawn by libmypaint.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "mypaint_canvas.h"

namespace py = pybind11;

namespace neural_paint::mypaint {
namespace {

using Actions = py::array_t<double, py::array::c_style | py::array::forcecast>;
using Images = py::array_t<uint8_t, py::array::c_style>;

// How soon Ctrl-C is seen to.
constexpr auto kPatience = std::chrono::milliseconds(200);

// Lets Python's signal handlers run now and then in a loop that holds no GIL.
class Signals {
 public:
  void check() {
    const auto now = std::chrono::steady_clock::now();
    if (now < due_) return;
    due_ = now + kPatience;
    py::gil_scoped_acquire gil;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
  }

 private:
  std::chrono::steady_clock::time_point due_ = std::chrono::steady_clock::now() + kPatience;
};

void require(bool holds, const char* rule) {
  if (!holds) throw std::invalid_argument(rule);
}

// Canvas, for several Python threads: they take turns.
class SharedCanvas {
 public:
  SharedCanvas(std::shared_ptr<Library> library, std::string brush, std::array<int, 2> size,
               std::array<double, 3> background, bool clear, bool connect, bool fresh)
      : size_(size),
        canvas_(std::move(library), std::move(brush), size[0], size[1], {background[0], background[1], background[2]},
                {clear, connect, fresh}) {}

  // Actions (n, 12) in places (n, 3); into `images` (n, H, W, 3) goes the canvas after each.
  void draw(const Actions& actions, const Actions& places, std::optional<Images> images) {
    require(actions.ndim() == 2 && actions.shape(1) == kActionSize, "actions must be (n, 12)");
    const py::ssize_t count = actions.shape(0);
    require(places.ndim() == 2 && places.shape(0) == count && places.shape(1) == 3, "places must be (n, 3)");
    require(!images || holds(*images, count), "images must be (n, H, W, 3)");
    const double* action = actions.data();
    const double* place = places.data();
    uint8_t* image = images ? images->mutable_data() : nullptr;
    py::gil_scoped_release no_gil;
    std::lock_guard turn(mutex_);
    Signals signals;
    for (py::ssize_t i = 0; i < count; ++i, action += kActionSize, place += 3) {
      canvas_.draw(action, {{place[0], place[1]}, place[2]}, [&] {
        if (stopped_) throw std::runtime_error("stopped");
        signals.check();
      });
      if (image) canvas_.read(image + i * bytes());
    }
  }

  // From another thread: what is being drawn, and would be, ends with an exception.
  void stop() { stopped_ = true; }

  Images image() {
    Images image({py::ssize_t(size_[0]), py::ssize_t(size_[1]), py::ssize_t(3)});
    uint8_t* data = image.mutable_data();
    py::gil_scoped_release no_gil;
    std::lock_guard turn(mutex_);
    canvas_.read(data);
    return image;
  }

  void reset() {
    py::gil_scoped_release no_gil;
    std::lock_guard turn(mutex_);
    canvas_.reset();
  }

 private:
  py::ssize_t bytes() const { return py::ssize_t(size_[0]) * size_[1] * 3; }

  bool holds(const Images& images, py::ssize_t count) const {
    return images.ndim() == 4 && images.shape(0) == count && images.shape(1) == size_[0] &&
           images.shape(2) == size_[1] && images.shape(3) == 3;
  }

  std::array<int, 2> size_;
  std::mutex mutex_;
  std::atomic<bool> stopped_ = false;
  Canvas canvas_;
};

std::shared_ptr<Library> open(const std::string& name) {
  try {
    return std::make_shared<Library>(name);
  } catch (const std::runtime_error& error) {
    PyErr_SetString(PyExc_OSError, error.what());
    throw py::error_already_set();
  }
}

}  // namespace

PYBIND11_MODULE(_mypaint, module) {
  py::class_<Library, std::shared_ptr<Library>>(module, "Library")
      .def(py::init(&open), py::arg("name"))
      .def("range", &Library::range, py::arg("setting"))
      .def_readonly("path", &Library::path);
  py::class_<SharedCanvas>(module, "Canvas")
      .def(py::init<std::shared_ptr<Library>, std::string, std::array<int, 2>, std::array<double, 3>, bool, bool,
                    bool>(),
           py::arg("library"), py::arg("brush"), py::arg("size"), py::arg("background"), py::kw_only(),
           py::arg("clear"), py::arg("connect"), py::arg("fresh"))
      .def("draw", &SharedCanvas::draw, py::arg("actions"), py::arg("places"),
           py::arg("images").noconvert() = py::none())
      .def("stop", &SharedCanvas::stop)
      .def("image", &SharedCanvas::image)
      .def("reset", &SharedCanvas::reset);
}

}  // namespace neural_paint::mypaint
