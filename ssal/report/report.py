"""The report: one HTML file that holds everything, loads nothing, and begins with the verdict."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jinja2
from PIL import Image
from ruamel.yaml import YAML
from torch import Tensor

from ssal.artefacts import write_text
from ssal.errors import listing
from ssal.evaluation.costs import stage_seconds
from ssal.evaluation.results import Row, arms_in
from ssal.evaluation.sentences import points
from ssal.evaluation.table import percent
from ssal.fingerprints import fingerprint
from ssal.outlook import Outlooks
from ssal.report.audit import audit, labels_of
from ssal.report.comparison import Comparison, shown
from ssal.report.costs import seconds_called
from ssal.report.drawing import COLOURS, marker_of
from ssal.report.methods import MethodsText
from ssal.report.ranks import ranks
from ssal.report.tables import rows_text, script, script_source

SMALLEST, LARGEST = 48, 96
"""Pixels of a picture's longer side in the gallery."""
SHOWN = 12
"""Pictures of each round's questions and of each strategy's picks; fewer where they would outgrow the page."""
PAGE_BYTES, PICTURE_BYTES, QUERY_BYTES = 2_900_000, 2_000_000, 700_000
"""What the page may take, in it the pictures that were asked, and those that strategies would ask for."""
AROUND = 300
"""Bytes of the page around a picture."""
STAGES = ("pretraining", "training", "scoring", "selection")
"""What the four columns of seconds are called on the page."""
Gallery = Mapping[str, Sequence[tuple[int, Sequence[Mapping[str, Any]], int]]]
"""Arm -> (round, its first pictures, how many it asked for)."""
MARKS = "●■◆▲▼✚✖✱"
"""The curves' markers as characters, for the legend."""


def write_report(
    folder: Path,
    results: Sequence[Row],
    comparisons: Sequence[Comparison],
    recipe_resolved: Mapping[str, Any],
    gallery: Gallery,
    class_mix: Mapping[str, Sequence[Mapping[str, Any]]],
    notes: Sequence[str],
    environment: Mapping[str, Any],
    doubtful: Sequence[Mapping[str, Any]] = (),
    queried: Mapping[str, Any] | None = None,
    methods_text: MethodsText | None = None,
    ranking: Mapping[str, Any] | None = None,
    audits: Outlooks | None = None,
) -> Path:
    """Write `folder`/report.html and return its path; the same input gives the same bytes.

    `gallery` holds per arm (round, [{id, data_uri, label, score}], number asked), best first; `class_mix` per arm
    [{round, counts}] with counts by class name. `results` are the rows of all arms under their whole names, which
    `comparisons` hold by condition. `environment["command"]`, where given, is shown as the line to type again.
    `doubtful` holds what an audit found, [{id, data_uri, label, propagated}]; `queried` what query.json holds, with
    `pictures` per strategy as in `gallery`, their label being the prediction; `ranking` what over_data_sets returns;
    `audits` what outlooks returns. These come first where nothing is compared.
    """
    audits = audits or {}
    arms = list(dict.fromkeys([*arms_in(results), *gallery, *class_mix, *(arm for arm, _ in audits)]))
    numbers = _numbers(arms, comparisons)
    called = seconds_called({str(row.get("device", "")) for row in results})
    seen = [shown(comparison, numbers, called) for comparison in comparisons]
    seeds = sorted({int(row["seed"]) for row in results})
    budgets = sorted({labels for one in seen for labels in one["budgets"]}) or labels_of(audits)
    facts = [
        f"{len(arms)} arm{'s' * (len(arms) != 1)}",
        f"{len(seeds)} seed{'s' * (len(seeds) != 1)}",
        f"{' to '.join(str(count) for count in dict.fromkeys((budgets[0], budgets[-1])))} labels"
        if budgets
        else "no test accuracy"
        if results
        else "no finished round yet",
    ]
    lines = script()
    render = partial(
        _template().render,
        name=str(recipe_resolved.get("name", "comparison")),
        facts=facts,
        comparisons=seen,
        ranks=ranks(ranking, numbers),
        audit=audit(audits, numbers),
        alone=bool(audits) and all(one.verdict.get("baseline") is None for one in comparisons),
        notes=list(notes),
        percent=percent,
        points=points,
        colours={arm: number % COLOURS for arm, number in numbers.items()},
        marks={arm: MARKS[marker_of(number)] for arm, number in numbers.items()},
        seeds=seeds,
        methods={row["arm"]: _methods(row) for one in (results, *(c.results for c in comparisons)) for row in one},
        listing=listing,
        arms=arms,
        mix=_mix(class_mix),
        stages=STAGES,
        timing=_timing(results),
        spell=spell,
        methods_text=methods_text,
        recipe=_yaml(recipe_resolved),
        rows=rows_text(results),
        script=lines,
        script_source=script_source(lines),
        recipe_fingerprint=fingerprint(recipe_resolved),
        environment=dict(environment),
        doubtful=list(doubtful),
        queried={**queried, "pictures": _fitting(queried["pictures"], QUERY_BYTES)} if queried else None,
    )
    room = PAGE_BYTES - len(render(gallery={}).encode())
    page = render(gallery=_fitting(gallery, min(room, PICTURE_BYTES)))
    write_text(folder / "report.html", page)
    return folder / "report.html"


def data_uri(image: Tensor) -> str:
    """Return a uint8 image (3,H,W) as a WebP data URI; small ones are enlarged by whole pixels, large ones reduced."""
    picture = Image.fromarray(image.detach().cpu().permute(1, 2, 0).contiguous().numpy())
    longest = max(picture.size)
    if longest < SMALLEST:
        times = -(-SMALLEST // longest)
        picture = picture.resize((picture.width * times, picture.height * times), Image.Resampling.NEAREST)
    elif longest > LARGEST:
        picture.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    picture.save(file, "WEBP", lossless=longest < SMALLEST, quality=80, method=4)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()


def spell(seconds: float) -> str:
    """Return a duration in the unit people would say it in."""
    if seconds < 0.05:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html")


def _numbers(arms: Sequence[str], comparisons: Sequence[Comparison]) -> dict[str, int]:
    """Return arm -> its number, by its whole name and by its name in a condition, which share it.

    Treatment and baseline have the same colour and marker in every report.
    """
    first = [str(comparison.verdict.get(name)) for comparison in comparisons for name in ("treatment", "baseline")]
    inside = {whole: name for comparison in comparisons for name, whole in comparison.arms.items()}
    names = list(dict.fromkeys(inside.get(arm, arm) for arm in arms))
    numbers = {name: at for at, name in enumerate(sorted(names, key=[*first, *names].index))}
    return numbers | {arm: numbers[inside.get(arm, arm)] for arm in arms}


def _methods(row: Row) -> str:
    words = [str(row.get(name) or "") for name in ("pretext", "learner", "strategy")]
    if row.get("companions"):
        words[1] += f" + {row['companions']}"
    return " → ".join(word for word in words if word and word != "none")


def _mix(class_mix: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    rounds = [part for parts in class_mix.values() for part in parts]
    return {
        "classes": sorted({name for part in rounds for name in part["counts"]}, key=_numbers_as_numbers),
        "most": max((count for part in rounds for count in part["counts"].values()), default=0) or 1,
        "arms": {arm: list(parts) for arm, parts in class_mix.items() if parts},
        "rounds": max(map(len, class_mix.values()), default=0),
    }


def _numbers_as_numbers(name: str) -> tuple[int, str]:
    return (int(name) if name.isdecimal() else 10**9, name)


def _fitting(gallery: Gallery, most: int) -> dict[str, Any]:
    """Return the gallery with as many pictures per round as `most` bytes allow."""
    shown = SHOWN
    while True:
        kept = {
            arm: [(number, items[:shown], asked - len(items[:shown])) for number, items, asked in rounds]
            for arm, rounds in gallery.items()
            if any(items for _, items, _ in rounds)
        }
        items = [item for rounds in kept.values() for _, items, _ in rounds for item in items]
        if sum(len(item["data_uri"]) + AROUND for item in items) <= most or shown == 1:
            return kept
        shown -= 1


def _timing(results: Sequence[Row]) -> list[dict[str, Any]]:
    """Return mean seconds per seed of each arm's stages, and their sum."""
    spent = {arm: stage_seconds(results, arm) for arm in arms_in(results)}
    return [{"arm": arm, "seconds": seconds, "total": sum(seconds)} for arm, seconds in spent.items()]


def _yaml(value: Mapping[str, Any]) -> str:
    file = io.StringIO()
    YAML().dump(json.loads(json.dumps(value, default=str)), file)
    return file.getvalue()
