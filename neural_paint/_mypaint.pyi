import numpy as np
from numpy.typing import NDArray

class Library:
    path: str
    def __init__(self, name: str) -> None: ...
    def range(self, setting: str) -> tuple[float, float] | None: ...

class Canvas:
    def __init__(
        self,
        library: Library,
        brush: str,
        size: tuple[int, int],
        background: tuple[float, float, float],
        *,
        clear: bool,
        connect: bool,
        fresh: bool,
    ) -> None: ...
    def draw(
        self, actions: NDArray[np.float64], places: NDArray[np.float64], images: NDArray[np.uint8] | None = None
    ) -> None: ...
    def image(self) -> NDArray[np.uint8]: ...
    def stop(self) -> None: ...
    def reset(self) -> None: ...
