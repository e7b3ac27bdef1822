"""The page's figures, against ones worked out by hand."""

from __future__ import annotations

import pytest


@pytest.fixture
def measured(script):
    return script("lab3_page").Measured(
        command="python lab3_loop.py",
        hardware="Abacus, 2 cores",
        versions="Python 3",
        decisions=["device cpu: why not"],
        others=0.0123,
        titles={"lab": "the lab", "limbeck": "ours", "limbeck-alone-fp32": "alone"},
        speeds={"lab": [10, 40, 20], "limbeck": [30, 60, 50], "limbeck-alone-fp32": [100, 300, 200]},
        side=64,
        peaks={"fp32 torch.mm": 500.0, "fp32 1x1 convolution": 1000.0, "bf16 torch.mm": 9999.0},
        gflop=1.25,
        chosen="bf16",
    )


def test_medians_and_the_median_of_the_rounds_ratios(script, measured):
    page = script("lab3_page").page(measured)
    assert "| the lab | 20.0 | 10.0 to 40.0 | 1.00 |" in page
    assert "| ours | 50.0 | 30.0 to 60.0 | 2.50 |" in page  # of 3, 1.5, 2.5; the medians' ratio is the same by chance
    assert "| alone | 200.0 | 100.0 to 300.0 | 10.00 |" in page  # of 10, 7.5, 10
    assert "other programs meanwhile: 1.2 %" in page


def test_the_share_of_each_peak_of_the_same_precision(script, measured):
    page = script("lab3_page").page(measured)
    assert "- fp32: 250 GFLOP/s, 50% of fp32 torch.mm, 25% of fp32 1x1 convolution." in page
    assert "- bf16" not in page


def test_without_the_lab_there_is_no_ratio(script, measured):
    measured.speeds.pop("lab")
    page = script("lab3_page").page(measured)
    assert "| ours | 50.0 | 30.0 to 60.0 | not measured |" in page
