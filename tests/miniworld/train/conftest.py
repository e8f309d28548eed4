from __future__ import annotations

import numpy as np
import pytest

from miniworld.train.scene_groups import draw_group


@pytest.fixture(scope="session")
def images() -> np.ndarray:
    """The drawn scenes of 40 groups, uint8 (160, 64, 64, 3)."""
    return np.concatenate([draw_group((0, index)) for index in range(40)])
