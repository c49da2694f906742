"""A user's program: a network learns to paint a disc with neural_paint; eager, compiled and under autocast."""

import torch
from torch import nn

import neural_paint

SIZE = 32


class Painter(nn.Module):
    def __init__(self, strokes: int = 16) -> None:
        super().__init__()
        self.head = nn.Linear(8, strokes * 12)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        x = self.head(z).unflatten(-1, (-1, 12)).sigmoid()
        geometry = x[..., :8].float()
        points, radius = geometry[..., :6].unflatten(-1, (3, 2)) * SIZE, 1 + 4 * geometry[..., 6:]
        strokes = neural_paint.Strokes(points=points, radius=radius, color=x[..., 8:11], opacity=x[..., 11])
        return neural_paint.paint(strokes, torch.ones(len(z), 3, SIZE, SIZE))


def train(compiled: bool, autocast: bool) -> torch.Tensor:
    torch.manual_seed(0)
    painter, z = Painter(), torch.randn(2, 8)
    y, x = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    target = ((x - 15.5) ** 2 + (y - 15.5) ** 2 > 100).float().expand(2, 3, SIZE, SIZE)
    forward = torch.compile(painter, fullgraph=True) if compiled else painter
    adam = torch.optim.Adam(painter.parameters(), lr=0.02)
    losses = []
    for _ in range(30):
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            image = forward(z)
        loss = (image.float() - target).square().mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(loss.detach())
    return torch.stack(losses)


eager = train(compiled=False, autocast=False)
assert eager[-1] < 0.5 * eager[0], eager
torch.testing.assert_close(train(compiled=True, autocast=False), eager, rtol=1e-3, atol=1e-4)
torch.testing.assert_close(train(compiled=False, autocast=True), eager, rtol=0.1, atol=1e-2)
torch.testing.assert_close(train(compiled=True, autocast=True), eager, rtol=0.1, atol=1e-2)
print(f"loss {eager[0]:.4f} -> {eager[-1]:.4f}; eager, compiled and autocast agree")
