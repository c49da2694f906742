"""Contact sheets."""

from __future__ import annotations

import torch

from neural_paint.contact_sheet import contact_sheet, panel_gap, title_height


def test_pictures_stand_row_by_row_below_their_titles() -> None:
    pictures = [torch.full((1, 3, 20, 100), grey) for grey in (0.1, 0.2, 0.3)]
    sheet = contact_sheet(pictures, ["one", "", "three"], columns=2)
    title, gap = title_height(100), panel_gap(100)
    assert sheet.shape == (1, 3, 2 * (title + 20), 200 + gap)
    for index, picture in enumerate(pictures):
        top, left = title + index // 2 * (title + 20), index % 2 * (100 + gap)
        assert torch.equal(sheet[:, :, top : top + 20, left : left + 100], picture)
    # There are letters above the first, and none above the second.
    assert sheet[:, :, :title, :100].min() < 0.5 and (sheet[:, :, :title, 100:] == 1).all()
    assert (sheet[:, :, title + 20 :, 100:] == 1).all()
