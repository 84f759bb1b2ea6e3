from __future__ import annotations

import base64
import hashlib
import html
import io
import os
import random
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from synthetic_report import synthetic_query, synthetic_report
from synthetic_results import EXTENDED, synthetic_results, untested, without

from ssal.evaluation.results import write_results
from ssal.evaluation.table import lines
from ssal.evaluation.verdict import verdict
from ssal.report.methods import MethodsText
from ssal.report.report import PICTURE_BYTES, QUERY_BYTES, data_uri, spell
from ssal.report.tables import ROWS_BYTES, rows_text

VOID = {"meta", "img", "br", "hr", "input", "link"}
HERE = Path(__file__).parent
EVIL = '<script>alert("1")</script>'


class Page(HTMLParser):
    """Collects a page's tags and text, and complains about tags that do not nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        assert self.open == [], f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        if not {"style", "title", "script"} & set(self.open):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> str:
    return synthetic_report(tmp_path_factory.mktemp("report"), queried=synthetic_query()).read_text(encoding="utf-8")


def test_the_verdict_comes_first_and_word_for_word(page):
    said = verdict(synthetic_results(), "ssl_only", "ssl_and_al")
    text = Page(page).text
    for sentence in (said["sentence"], *said["details"], *said["others"]):
        assert sentence in text
    assert text.index(said["sentence"]) < text.index("Learning curves") < text.index("Accuracy by labels")


def test_every_number_of_the_table_is_on_the_page(page):
    text = Page(page).text
    for line in lines(synthetic_results()):
        for cell in line.cells.values():
            assert f"{100 * cell.mean:.1f} ± {100 * cell.sd:.1f}" in text


def test_the_page_holds_everything_and_asks_the_network_for_nothing(page):
    found = Page(page)
    assert not {tag for tag, _ in found.tags} & {"link", "iframe", "object", "base", "form"}
    (script,) = re.findall("<script>(.*?)</script>", page, flags=re.S)
    assert [attributes for tag, attributes in found.tags if tag == "script"] == [{}]
    (policy,) = [attributes["content"] for _, attributes in found.tags if "http-equiv" in attributes]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy == (f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'")
    assert not re.search(r"fetch\(|XMLHttpRequest|import|eval|innerHTML|WebSocket|sendBeacon", script)
    for tag, attributes in found.tags:
        for name in ("src", "href", "xlink:href", "srcset", "action"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/webp;base64,")), (tag, attributes)
    assert not re.search(r"url\((?!#)|@import", page)
    assert set(re.findall(r"https?://[^\"' <]+", page)) <= {"http://www.w3.org/1999/xlink"}
    assert len(page) < 3_000_000


def test_references_inside_the_drawings_lead_somewhere_and_ids_are_unique(page):
    attributes = [attributes for _, attributes in Page(page).tags]
    ids = [found["id"] for found in attributes if "id" in found]
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'xlink:href="#([^"]+)"|url\(#([^)]+)\)', page)) != set()
    for pair in re.findall(r'xlink:href="#([^"]+)"|url\(#([^)]+)\)', page):
        assert "".join(pair) in ids


def test_colours_of_the_drawings_are_the_page_s_so_that_dark_mode_reads(page):
    drawings = re.findall(r"<svg.*?</svg>", page, flags=re.S)
    assert len(drawings) == 12
    for drawing in drawings:
        assert not re.search(r"#[0-9a-f]{6}\b(?!\w)", re.sub(r'(href="|id="|url\()#?\w+', "", drawing))
        assert "var(--arm-0)" in drawing and "var(--ink-soft)" in drawing
    for variable in set(re.findall(r"var\((--[\w-]+)\)", page)) - {"--c", "--least", "--share"}:
        light, dark = (re.findall(rf"{variable}: (#\w+);", part) for part in page.split("prefers-color-scheme: dark"))
        assert len(light) == 1 and len(dark) == 1, variable


def luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.03928 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


def mixed(front: str, back: str, share: float) -> str:
    """Return color-mix(in srgb, front share, back)."""
    parts = [round(share * int(front[at : at + 2], 16) + (1 - share) * int(back[at : at + 2], 16)) for at in (1, 3, 5)]
    return "#" + "".join(f"{part:02x}" for part in parts)


def test_contrast_of_text_and_of_marks(page):
    """WCAG 2.1: 4.5 to 1 for text, 3 to 1 for lines and marks, in both schemes."""
    for scheme in page.split("</style>")[0].split("prefers-color-scheme: dark"):
        colour = dict(re.findall(r"(--[\w-]+): (#\w{6});", scheme))
        pairs = [(name, "--card", 4.5) for name in ("--ink", "--ink-soft", "--accent", "--warn")]
        pairs += [(name, "--page", 4.5) for name in ("--ink", "--ink-soft", "--accent")]
        pairs += [(name, "--track", 4.5) for name in ("--ink", "--ink-soft")]
        pairs += [("--warn", "--warn-soft", 4.5), ("--ink", "--warn-soft", 4.5)]
        shades = [int(percent) for percent in re.findall(r"--share: (\d+)%", page)]
        colour["--heat"] = mixed(colour["--accent"], colour["--track"], max(shades, default=0) / 100)
        assert max(shades) <= 45 and mixed("#ffffff", "#000000", 0.5) == "#808080"
        colour["--hottest"] = mixed(colour["--accent"], colour["--track"], 0.45)
        pairs += [("--ink", "--heat", 4.5), ("--ink", "--hottest", 4.5)]
        pairs += [(name, "--card", 3.0) for name in colour if name.startswith(("--arm-", "--reference"))]
        for front, back, least in pairs:
            bright, dim = sorted((luminance(colour[front]), luminance(colour[back])), reverse=True)
            assert (bright + 0.05) / (dim + 0.05) >= least, (front, back)


def test_names_people_chose_are_text_never_markup(tmp_path):
    results = [{**row, "arm": f"{row['arm']}{EVIL}", "learner": EVIL} for row in synthetic_results()]
    arm = f"ssl_only{EVIL}"
    picture = {"id": EVIL, "data_uri": data_uri(torch.zeros(3, 8, 8, dtype=torch.uint8)), "label": EVIL, "score": None}
    text = synthetic_report(
        tmp_path,
        results=results,
        gallery={arm: [(0, [picture], 1)]},
        notes=[EVIL],
        environment={EVIL: EVIL},
        class_mix={arm: [{"round": 0, "counts": {EVIL: 3, "&amp;": 1}}]},
        recipe_resolved={"name": EVIL, "seeds": [EVIL]},
        verdict=verdict(results, arm, f"ssl_and_al{EVIL}"),
        methods_text=MethodsText([EVIL], [EVIL]),
        queried={**synthetic_query((EVIL, f"{EVIL}2")), "learner": EVIL},
    ).read_text(encoding="utf-8")
    assert (
        text.lower().count("<script") == text.count('<script>"use strict"') == 1
        and html.escape(EVIL, quote=False)[:11] in text
    )
    found = Page(text)
    assert found.text.count(EVIL) > 10 and "&amp;" in found.text
    for _, attributes in found.tags:
        assert not any(name.startswith("on") for name in attributes)


def test_pictures_tables_and_drawings_have_words(page):
    found = Page(page).tags
    assert all(attributes.get("alt") for tag, attributes in found if tag == "img")
    drawings = [attributes for tag, attributes in found if tag == "svg"]
    assert all(attributes["aria-label"] and attributes["role"] == "img" for attributes in drawings)
    assert all(attributes.get("scope") in ("col", "row") for tag, attributes in found if tag == "th")
    assert sum(tag == "h1" for tag, _ in found) == 1
    assert dict(found)["html"]["lang"] == "en"


def test_every_table_is_in_a_region_of_a_name_of_its_own(page):
    found = Page(page).tags
    regions = [attributes["aria-label"] for _, attributes in found if attributes.get("role") == "region"]
    assert len(regions) == len(set(regions)) == sum(tag == "table" for tag, _ in found) > 5


def test_the_page_holds_the_rows_of_results_csv_where_they_fit(tmp_path, page):
    write_results(tmp_path / "results.csv", synthetic_results())
    rows = (tmp_path / "results.csv").read_text(encoding="utf-8")
    assert html.unescape(re.findall('<pre tabindex="0" id="rows">(.*?)</pre>', page, flags=re.S)[0]) == rows
    many = synthetic_results(100, tuple(range(10, 110, 10)))
    assert len(rows_text(many)) == 0 < len(rows_text(many[: len(many) // 4])) <= ROWS_BYTES
    text = synthetic_report(tmp_path, results=many).read_text(encoding="utf-8")
    assert 'id="rows"' not in text and "the numbers behind this page are in results.csv beside it" in text


def test_the_same_input_gives_the_same_bytes(tmp_path):
    assert synthetic_report(tmp_path / "a").read_bytes() == synthetic_report(tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    ("seeds", "words"),
    [
        (1, "One seed leaves no spread"),
        (3, "± one standard deviation over seeds; intervals are drawn from 5"),
        (5, "95 % t interval of the mean"),
    ],
)
def test_the_band_says_what_it_is(tmp_path, seeds, words):
    assert words in Page(synthetic_report(tmp_path, seeds=seeds).read_text(encoding="utf-8")).text


def test_an_empty_comparison_still_gives_a_page(tmp_path):
    said = verdict([], "ssl_only", "ssl_and_al")
    path = synthetic_report(tmp_path, results=[], gallery={}, class_mix={}, verdict=said, notes=[])
    text = Page(path.read_text(encoding="utf-8")).text
    assert said["sentence"] in text and "no finished round yet" in text


def test_one_arm_one_round_and_no_test_set(tmp_path):
    row = {"arm": "only", "seed": 0, "round": 0, "labels": 10, "train_seconds": 2.0}
    said = verdict([row], None, None)
    text = Page(
        synthetic_report(tmp_path, results=[row], gallery={}, class_mix={}, verdict=said).read_text(encoding="utf-8")
    ).text
    assert "names no baseline" in text and "Where the time went" in text
    tested = Page(
        synthetic_report(tmp_path, results=[{**row, "accuracy": 0.75}], verdict=said).read_text(encoding="utf-8")
    ).text
    assert "75.0" in tested and "Learning curves" in tested


def test_label_counts_that_some_runs_lack_are_on_no_table_and_no_drawing(tmp_path):
    rows = without(synthetic_results(3, EXTENDED), "ssl_only", (2,), (12,))
    said = verdict(rows, "ssl_only", "ssl_and_al")
    text = synthetic_report(tmp_path, results=rows, verdict=said).read_text(encoding="utf-8")
    assert "those at 12 labels are left out, as not every run has them." in Page(text).text.split("Learning curves")[1]
    assert not any(re.search(r"% at 12\b|\b12 labels:", label) for label in re.findall(r'aria-label="([^"]+)"', text))
    assert re.findall(r'<th scope="col" data-name="(\d+) labels">', text.split("Accuracy by labels")[-1])[:3] == [
        *map(str, (8, 18, 28))
    ]


def test_an_arm_that_lacks_a_seed_is_named_and_counted(tmp_path):
    rows = without(synthetic_results(3), "supervised", (1,))
    text = Page(synthetic_report(tmp_path, results=rows).read_text(encoding="utf-8")).text
    assert text.count("Not all runs have the same results: supervised has no seed 1.") == 2
    assert "mean ± standard deviation over 2–3 seeds" in text


def test_references_are_called_what_they_are_with_pixels_and_with_embeddings(page):
    text = Page(page).text
    assert "svm on raw inputs" in text and "on each image as it is given (its pixels, or its embedding)" in text


def test_whatever_is_missing_there_is_a_page(tmp_path):
    rows = synthetic_results(3, EXTENDED)
    for draw in map(random.Random, range(8)):
        some = draw.sample(rows, draw.randint(1, len(rows)))
        said = verdict(some, "ssl_only", "ssl_and_al")
        assert (
            said["sentence"]
            in Page(synthetic_report(tmp_path, 1, 0, 1, results=some, verdict=said).read_text("utf-8")).text
        )
    text = Page(synthetic_report(tmp_path, results=untested(rows)).read_text(encoding="utf-8")).text
    assert "no test accuracy" in text and "Learning curves" not in text


def test_a_page_is_written_and_results_are_read_where_text_is_not_utf_8(tmp_path):
    code = f"""
import locale, pathlib, sys
sys.path += {[str(folder) for folder in (HERE, HERE.parent)]!r}
assert "utf" not in locale.getpreferredencoding(False).lower()
from synthetic_report import synthetic_report, synthetic_results
from ssal.evaluation.results import read_results, write_results
folder = pathlib.Path(sys.argv[1])
rows = [{{**row, "arm": row["arm"] + "\\u00e9"}} for row in synthetic_results(1)]
write_results(folder / "results.csv", rows)
assert read_results(folder / "results.csv") == rows
synthetic_report(folder, 1)
"""
    plain = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path], env=plain, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    here = synthetic_report(tmp_path / "here", 1)
    assert (tmp_path / "report.html").read_bytes() == here.read_bytes()


def test_seconds_are_means_per_seed_and_an_encoder_counts_once(page):
    row = next(
        line
        for line in re.findall(r"<tr>.*?</tr>", page.split("Where the time went")[1], flags=re.S)
        if "ssl_and_al" in line
    )
    values = dict(re.findall(r'<td data-value="([^"]+)">([^<]+)</td>', row))
    assert values == {"14.500": "14.5 s", "47.500": "47.5 s", "2.000": "2.0 s", "0.100": "0.1 s", "64.100": "64.1 s"}
    assert [spell(value) for value in (0.0, 0.02, 3.0, 120, 7200)] == ["0 ms", "20 ms", "3.0 s", "2.0 min", "2.0 h"]


def test_a_large_gallery_is_cut_to_fit_and_says_so(tmp_path):
    noise = torch.randint(256, (3, 96, 96), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    picture = {"id": "0" * 16, "data_uri": data_uri(noise), "label": "cat", "score": 0.5}
    gallery = {"ssl_only": [(turn, [picture] * 50, 100) for turn in range(60)]}
    text = synthetic_report(tmp_path, gallery=gallery).read_text(encoding="utf-8")
    assert len(text) < PICTURE_BYTES + 500_000
    shown = int(re.findall(r"the first (\d+) of 100", Page(text).text)[0])
    assert text.count("<img") == 60 * shown and shown < 24


def test_the_picks_of_many_strategies_are_cut_to_fit_too(tmp_path):
    names = tuple(f"strategy_{number}" for number in range(60))
    noise = torch.randint(256, (3, 96, 96), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    found = synthetic_query(names, size=12)
    for rounds in found["pictures"].values():
        for item in rounds[0][1]:
            item["data_uri"] = data_uri(noise)
    text = synthetic_report(tmp_path, gallery={}, queried=found).read_text(encoding="utf-8")
    assert len(text) < QUERY_BYTES + 700_000
    assert text.count("<img") % 60 == 0 and 60 <= text.count("<img") < 60 * 12
    assert "What other strategies" not in synthetic_report(tmp_path).read_text(encoding="utf-8")


def pixels(uri: str) -> np.ndarray:
    prefix, _, encoded = uri.partition(",")
    assert prefix == "data:image/webp;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB"))


@pytest.mark.parametrize(("height", "width", "times"), [(8, 8, 6), (28, 28, 2), (32, 20, 2), (47, 47, 2)])
def test_small_pictures_are_enlarged_by_whole_pixels_without_loss(height, width, times):
    image = torch.randint(256, (3, height, width), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    expected = image.permute(1, 2, 0).numpy().repeat(times, axis=0).repeat(times, axis=1)
    assert (pixels(data_uri(image)) == expected).all()


def test_large_pictures_are_reduced_and_keep_their_shape():
    image = torch.full((3, 300, 150), 200, dtype=torch.uint8)
    found = pixels(data_uri(image))
    assert found.shape == (96, 48, 3) and abs(int(found.mean()) - 200) <= 2


def test_twelve_arms_of_ten_rounds_and_many_seeds_stay_below_three_megabytes(tmp_path):
    names = [f"strategy_{number}" for number in range(12)]
    rows = synthetic_results(30, tuple(range(20, 220, 20)), arms=dict.fromkeys(names, (0.4, 0.9)))
    noise = torch.randint(256, (12, 3, 96, 96), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    pictures = [
        {"id": f"{row:016x}", "data_uri": data_uri(noise[row]), "label": "cat", "score": 1} for row in range(12)
    ]
    path = synthetic_report(
        tmp_path,
        results=rows,
        verdict=verdict(rows, *names[:2]),
        gallery={name: [(turn, pictures, 20) for turn in range(10)] for name in names},
        class_mix={name: [{"round": turn, "counts": {"cat": 20}} for turn in range(10)] for name in names},
        queried=synthetic_query(tuple(names), size=12),
    )
    text = path.read_text(encoding="utf-8")
    assert path.stat().st_size < 3_000_000
    shown = {int(number) for number in re.findall(r"Round \d+, the first (\d+) of 20", Page(text).text)}
    assert len(shown) == 1 and text.count('alt="Image') - 12 * 12 == 120 * shown.pop() >= 120
    assert "single seeds, where the screen is wide enough." in text
