"""How long `ssal init` takes on 10,000 images: `python benchmarks/init.py --fashion fashion-mnist-12k.tar`.

The training images of fashion-mnist-12k stand in the tar with their class folders, then in one flat folder as they are,
then in one as JPEGs of 320 × 320 pixels. Each is looked at by the whole command in a process of its own, twice.
Writes benchmarks/results/init.csv (one row per command) and init.md. The limit is 60 seconds.
"""

from __future__ import annotations

import io
import os
import resource
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from measuring import machine
from PIL import Image
from rows import append_row, made_now, read_rows

RESULTS = Path(__file__).parent / "results" / "init.csv"
COLUMNS = ("images", "files", "mebibytes", "repeat", "seconds", "processor_seconds", "commit", "date")
REPEATS, LIMIT, SIDE = 2, 60, 320


def as_it_is(content: bytes) -> bytes:
    return content


def enlarged(content: bytes) -> bytes:
    written = io.BytesIO()
    Image.open(io.BytesIO(content)).convert("RGB").resize((SIDE, SIDE)).save(written, "JPEG", quality=90)
    return written.getvalue()


def flat(tar: Path, folder: Path, ending: str, change: Callable[[bytes], bytes]) -> Path:
    """Write every training image of `tar` into `folder`, under a number, without its class."""
    folder.mkdir()
    with tarfile.open(tar) as archive:
        members = [member for member in archive if "train/" in member.name and member.isfile()]
        for number, member in enumerate(members):
            file = archive.extractfile(member)
            assert file
            (folder / f"{number:05d}{ending}").write_bytes(change(file.read()))
    return folder


def timed(path: Path, place: Path) -> tuple[float, float, str]:
    """Return the seconds and the processor's seconds that the command takes, and its first line."""
    typed = [sys.executable, "-m", "ssal", "init", str(path), "--overwrite", "--recipe", str(place / "recipe.yaml")]
    if path.is_dir():
        typed += ["--classes", "clothes,shoes,bags"]
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    root = str(Path(__file__).resolve().parents[1])
    done = subprocess.run(
        typed, cwd=place, env={**os.environ, "PYTHONPATH": root}, capture_output=True, text=True, check=True
    )
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout.splitlines()[0]


def page(about: dict[str, Any], rows: list[dict[str, str]], said: dict[str, str]) -> str:
    lines = [
        "# Starting a project",
        "",
        "`python benchmarks/init.py --fashion fashion-mnist-12k.tar`: the whole command, start of Python and torch",
        f"included, twice each; the limit is {LIMIT} seconds. {about['processor']}, {about['cores']} cores, "
        f"threads {about['threads']['torch']}, load before {about['load_before']},",
        f"python {about['python']}, torch {about['versions']['torch']}, pillow {about['versions']['pillow']}; "
        f"{about['date']}, commit {about['commit']}.",
        "",
        "| images | what it said first | MiB | seconds: median (all) | processor seconds |",
        "|---|---|---|---|---|",
    ]
    for name, first in said.items():
        own = [row for row in rows if row["images"] == name]
        wall, busy = ([float(row[key]) for row in own] for key in ("seconds", "processor_seconds"))
        every = ", ".join(f"{seconds:.1f}" for seconds in wall)
        lines.append(
            f"| {name} | {first} | {own[0]['mebibytes']} | {statistics.median(wall):.1f} ({every}) "
            f"| {statistics.median(busy):.1f} |"
        )
    return "\n".join(lines) + "\n"


def main(fashion: Annotated[Path, typer.Option(help="fashion-mnist-12k.tar")]) -> None:
    """Measure, and write the table."""
    about, now, said = machine("torch", "pillow"), made_now(), dict[str, str]()
    RESULTS.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        makers: dict[str, Callable[[], Path]] = {
            "the tar, class folders": lambda: fashion.resolve(),
            "a flat folder of PNGs": lambda: flat(fashion, place / "pngs", ".png", as_it_is),
            f"a flat folder of JPEGs, {SIDE} × {SIDE}": lambda: flat(fashion, place / "jpegs", ".jpg", enlarged),
        }
        for name, make in makers.items():
            path = make()
            files = [path] if path.is_file() else list(path.iterdir())
            size = round(sum(file.stat().st_size for file in files) / 2**20)
            for repeat in range(REPEATS):
                seconds, busy, said[name] = timed(path, place)
                row = {"images": name, "files": len(files), "mebibytes": size, "repeat": repeat, **now}
                append_row(RESULTS, COLUMNS, {**row, "seconds": f"{seconds:.2f}", "processor_seconds": f"{busy:.2f}"})
                print(name, repeat, f"{seconds:.1f} s", flush=True)
    RESULTS.with_suffix(".md").write_text(page(about, read_rows(RESULTS), said), encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
