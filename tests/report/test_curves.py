from __future__ import annotations

import re

from synthetic_results import synthetic_results

from ssal.evaluation.table import lines
from ssal.evaluation.verdict import verdict
from ssal.report.curves import beyond, difference_curve, learning_curves
from ssal.report.drawing import ARMS, MARKERS, apart, look

COLOURS = {"ssl_and_al": 0, "ssl_only": 1, "supervised": 2}


def wide(svg: str) -> str:
    return re.findall(r'<svg class="wide".*?</svg>', svg, flags=re.S)[0]


def marks(svg: str, arm: int) -> int:
    return len(re.findall(rf"<use [^>]*fill: var\(--arm-{arm}\)(?!; fill-opacity: 0.14)", wide(svg)))


def test_every_seed_and_every_mean_has_its_mark():
    drawn = learning_curves(lines(synthetic_results(4)), COLOURS, "sd")
    assert all(marks(drawn, arm) == 5 * 4 + 5 for arm in range(3))


def band_height(band: str, seeds: int) -> float:
    rows = [
        {"arm": "a", "seed": seed, "round": turn, "labels": labels, "accuracy": 0.5 + 0.01 * seed}
        for seed in range(seeds)
        for turn, labels in enumerate((10, 20))
    ]
    svg = wide(learning_curves(lines(rows), {"a": 0}, band))
    name = re.findall(r'<use xlink:href="#(\w+)"[^>]*fill: var\(--arm-0\); fill-opacity: 0.14', svg)[0]
    path = re.findall(rf'<path id="{name}" d="([^"]+)"', svg)[0]
    heights = [float(number) for number in re.findall(r"[ML] [\d.-]+ ([\d.-]+)", path)]
    point = [float(y) for y in re.findall(r'<use [^>]*y="([\d.]+)"[^>]*--arm-0\)(?!; fill-opacity: 0.14)', svg)]
    return (max(heights) - min(heights)) / (max(point) - min(point))


def test_the_band_is_what_the_caption_says():
    """Seeds one apart: over three, sd 1 and t 2.48 around a spread of 2; the drawing keeps the proportions."""
    assert abs(band_height("sd", 3) - 2 / 2) < 0.01
    assert abs(band_height("interval", 3) - 2 * 4.3027 / 3**0.5 / 2) < 0.01


def test_the_words_for_those_who_do_not_see_it_hold_the_means():
    found = lines(synthetic_results())
    label = re.findall(r'aria-label="([^"]+)"', learning_curves(found, COLOURS, "sd"))[0]
    for line in found:
        assert f"{100 * line.cells[100].mean:.1f} % at 100" in label


def test_differences_have_a_mark_per_seed_and_an_interval_per_budget():
    said = verdict(synthetic_results(6), "ssl_only", "ssl_and_al")
    svg = difference_curve(said["differences"], "ssl_and_al", "ssl_only", 0)
    assert marks(svg, 0) == 5 * 6 + 5
    whiskers = re.findall(r'd="M ([\d.]+) [\d.]+ \nL \1 [\d.]+ \n"[^>]*style="[^"]*stroke: var\(--arm-0\)', wide(svg))
    assert len(whiskers) == 5


def test_all_labels_is_a_level_and_does_not_stretch_the_axis():
    rows = [*synthetic_results(), {"arm": "all_labels", "seed": 0, "round": 0, "labels": 6000, "accuracy": 0.99}]
    found = lines(rows)
    assert [line.name for line in beyond(found)] == ["all_labels"]
    svg = wide(learning_curves(found, {**COLOURS, "all_labels": 3}, "sd"))
    assert ">6,000</text>" not in svg and ">100</text>" in svg and "var(--arm-3)" in svg
    assert beyond(lines(rows[-1:])) == []


def test_ticks_leave_room_for_their_numbers():
    assert apart([20, 40, 60, 80, 100], 10, log=False) == [100, 80, 60, 40, 20]
    assert apart([10, 11, 12, 100], 5, log=False) == [100, 12]
    kept = apart([40, 80, 120, 160, 200, 240, 280, 320, 360, 400, 6000], 6, log=True)
    assert kept[0] == 6000 and len(kept) > 2
    assert all(high / low >= 150 ** (1 / 6) - 1e-9 for high, low in zip(kept, kept[1:], strict=False))


def test_colour_and_marker_together_tell_more_arms_than_there_are_colours():
    assert len({look(number) for number in range(64)}) == 64
    assert [look(number) for number in range(8)] == list(zip(ARMS, MARKERS, strict=True))


def test_numbers_in_words_are_not_cut_as_those_of_pixels_are():
    drawn = difference_curve(
        verdict(synthetic_results(4), "ssl_only", "ssl_and_al")["differences"], "lr_0.0125", "b", 0
    )
    assert "lr_0.0125" in drawn and not re.search(r'd="[^"]*\d\.\d{3}', drawn)
