from __future__ import annotations

from typing import Any

import pytest

from vitreid.training.optim import SCHEDULES, cosine, cosine_by_epoch, steps

SCHEDULE: dict[str, Any] = {"lr": 1.0, "epochs": 12, "warmup_epochs": 2, "warmup_lr_ratio": 0.1, "min_lr_ratio": 0.01}
TRANSREID: dict[str, Any] = {
    "lr": 0.008,
    "epochs": 120,
    "warmup_epochs": 5,
    "warmup_lr_ratio": 0.01,
    "min_lr_ratio": 0.002,
}


@pytest.mark.parametrize(("epoch", "rate"), [(0, 0.1), (1, 0.55), (2, 1.0), (7, 0.505), (12, 0.01), (13, 0.01)])
def test_warm_up_and_cosine(epoch: float, rate: float) -> None:
    assert cosine(epoch, **SCHEDULE) == pytest.approx(rate)


def test_without_warm_up_the_first_rate_is_the_full_one() -> None:
    assert cosine(0, **(SCHEDULE | {"warmup_epochs": 0})) == 1.0


@pytest.mark.parametrize(
    ("number", "rate"),
    [(1, 1.664e-3), (2, 3.248e-3), (4, 6.416e-3), (5, 7.966e-3), (60, 4.008e-3), (119, 1.737e-5), (120, 1.6e-5)],
)
def test_the_published_rates(number: int, rate: float) -> None:
    """TransReID's rate in an epoch counted from 1, the same all through it."""
    for within in (0.0, 0.5, 0.999):
        assert cosine_by_epoch(number - 1 + within, **TRANSREID) == pytest.approx(rate, rel=1e-3)


@pytest.mark.parametrize(
    ("epoch", "rate"), [(0, 0.1), (5, 0.55), (10, 1), (39.9, 1), (40, 0.1), (90, 0.01), (119, 0.01)]
)
def test_steps_fall_to_a_tenth(epoch: float, rate: float) -> None:
    assert steps(epoch, lr=1.0, warmup_epochs=10, warmup_lr_ratio=0.1, falls=(40, 90)) == pytest.approx(rate)


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_takes_the_same_arguments(name: str) -> None:
    rates = [SCHEDULES[name](epoch, **TRANSREID, falls=(40,)) for epoch in (0, 4.5, 30, 119)]
    assert all(0 < rate <= 0.008 for rate in rates)
    assert rates[0] < rates[2] > rates[3]
