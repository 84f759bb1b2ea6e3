"""How many images a second are augmented: batched on the device, beside pipelines that take one PIL image at a time.

FixMatch views: one weak and one strong view of each image (RandAugment and Cutout), normalised. SimCLR views: two of
each, no blur. The per-image pipelines are torchvision's flip, crop, ToTensor and Normalize with the same RandAugment
rule in Pillow, and lightly's SimCLRTransform; both in this process and with two DataLoader workers.

    python benchmarks/augmentation.py [--rounds 5] [--size 32] [--batch 112] [--out benchmarks/results/augmentation]
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import kornia
import lightly
import PIL
import torch
import torchvision
from lightly.transforms import SimCLRTransform
from measuring import commit, processor
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "data"))
from pil_reference import amount_of, change

from ssal.data import augment
from ssal.data.randaugment import OPERATIONS
from ssal.streams import generator, stream

MEAN, STD = (0.49, 0.48, 0.45), (0.25, 0.24, 0.26)


class FixMatchViews:
    """The weak and the strong view of one PIL image."""

    def __init__(self, size: int) -> None:
        shift = augment.shift_pixels(size, 0.125)
        self.half = size // 4
        self.weak = transforms.Compose(
            [transforms.RandomHorizontalFlip(), transforms.RandomCrop(size, padding=shift, padding_mode="reflect")]
        )
        self.finish = transforms.Compose([transforms.ToTensor(), transforms.Normalize(MEAN, STD)])

    def __call__(self, image: Image.Image) -> tuple[torch.Tensor, torch.Tensor]:
        strong = self.weak(image)
        for name in random.choices(OPERATIONS, k=2):
            if random.random() < 0.5:
                level = random.randint(1, 9) * random.choice((-1, 1))
                strong = change(strong, name, amount_of(name, level, strong.width))
        x, y, half = random.randrange(strong.width), random.randrange(strong.height), self.half
        strong = strong.copy()
        strong.paste((127, 127, 127), (max(0, x - half), max(0, y - half), x + half, y + half))
        return self.finish(self.weak(image)), self.finish(strong)


class OneByOne(Dataset):
    """PIL images that pass through a transform when they are read."""

    def __init__(self, images: torch.Tensor, transform: Callable[[Image.Image], object]) -> None:
        self.arrays = [image.permute(1, 2, 0).contiguous().numpy() for image in images]
        self.transform = transform

    def __len__(self) -> int:
        return len(self.arrays)

    def __getitem__(self, row: int) -> object:
        return self.transform(Image.fromarray(self.arrays[row]))


def soft_images(count: int, size: int) -> torch.Tensor:
    """Return images with the smooth colours of photographs rather than noise, (count, 3, size, size) uint8."""
    coarse = torch.rand(count, 3, 5, 5, generator=generator("benchmark images"))
    return (torch.nn.functional.interpolate(coarse, size=(size, size), mode="bicubic") * 255).clamp(0, 255).byte()


def seconds(batches: Iterator[object]) -> float:
    start = time.perf_counter()
    for _ in batches:
        pass
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--batch", type=int, default=112)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "augmentation")
    options = parser.parse_args()
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    device = "cuda" if torch.cuda.is_available() else "cpu"

    images = soft_images(20 * options.batch, options.size)
    mean, std = torch.tensor(MEAN), torch.tensor(STD)
    resident = images.to(device)

    def ours(views: Callable[[torch.Tensor, int], object], cores: int) -> Callable[[], tuple[int, float]]:
        def measured() -> tuple[int, float]:
            torch.set_num_threads(cores)
            steps = (views(batch, step) for step, batch in enumerate(resident.split(options.batch)))
            spent = seconds(steps)
            if device == "cuda":
                start = time.perf_counter()
                torch.cuda.synchronize()
                spent += time.perf_counter() - start
            torch.set_num_threads(1)
            return len(images), spent

        return measured

    def fixmatch(batch: torch.Tensor, step: int) -> object:
        weak = augment.weak(batch, generator(step, "weak"), flip=True)
        strong = augment.strong(batch, generator(step, "strong"), flip=True)
        return augment.normalise(weak, mean, std), augment.normalise(strong, mean, std)

    def simclr(batch: torch.Tensor, step: int) -> object:
        return [
            (augment.contrastive(batch, stream(step, view), flip=True, min_scale=0.08) - 0.5) / 0.25 for view in (0, 1)
        ]

    def peer(transform: Callable[[Image.Image], object], workers: int) -> Callable[[], tuple[int, float]]:
        # One process is slow enough that a fifth of the images gives a steady figure.
        part = images if workers else images[: len(images) // 5]
        loader = DataLoader(
            OneByOne(part, transform),
            options.batch,
            num_workers=workers,
            persistent_workers=bool(workers),
            multiprocessing_context="spawn" if workers else None,
        )
        return lambda: (len(part), seconds(iter(loader)))

    lightly_views = SimCLRTransform(
        input_size=options.size, cj_strength=0.5, gaussian_blur=0.0, normalize={"mean": list(MEAN), "std": list(STD)}
    )
    # Spawned workers re-import this file, so all that is measured is built here, and started once before timing.
    ways = {
        "fixmatch": {
            "batched, 1 thread": ours(fixmatch, 1),
            f"batched, {threads} threads": ours(fixmatch, threads),
            "PIL image by image": peer(FixMatchViews(options.size), 0),
            "PIL image by image, 2 workers": peer(FixMatchViews(options.size), 2),
        },
        "simclr": {
            "batched, 1 thread": ours(simclr, 1),
            f"batched, {threads} threads": ours(simclr, threads),
            "lightly SimCLRTransform": peer(lightly_views, 0),
            "lightly SimCLRTransform, 2 workers": peer(lightly_views, 2),
        },
    }
    rates: dict[str, dict[str, list[float]]] = {kind: {name: [] for name in named} for kind, named in ways.items()}
    torch.set_num_threads(1)
    load_before = os.getloadavg()
    for turn in range(options.rounds + 1):
        for kind, named in ways.items():
            for name, measured in named.items():
                count, spent = measured()
                if turn:  # the first turn starts workers and warms caches
                    rates[kind][name].append(count / spent)

    record = {
        "what": "images per second, median of interleaved rounds; each image gets both of its views, normalised",
        "date": datetime.date.today().isoformat(),
        "command": "python " + " ".join(sys.argv),
        "commit": commit(),
        "machine": {
            "processor": processor(), "cores": threads, "device": device,
            "gpu": torch.cuda.get_device_name() if device == "cuda" else None, "load_before": round(load_before[0], 2),
        },
        "versions": {
            "python": platform.python_version(), "torch": torch.__version__, "torchvision": torchvision.__version__,
            "kornia": kornia.__version__, "lightly": lightly.__version__, "pillow": PIL.__version__,
        },
        "size": options.size, "batch": options.batch, "rounds": options.rounds,
        "images_per_second": {
            kind: {name: {"median": round(statistics.median(values)), "least": round(min(values)),
                          "most": round(max(values))} for name, values in named.items()}
            for kind, named in rates.items()
        },
    }  # fmt: skip
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    lines = [
        f"# Augmentation, images per second at {options.size} px, batches of {options.batch}",
        "",
        f"{record['date']}, {processor()}, {threads} cores, {device}, torch {torch.__version__}; "
        f"`{record['command']}`. Medians of {options.rounds} interleaved rounds, least and most in brackets. An image "
        "counts once and gets both of its views. Ratios are to the pipeline with two workers.",
    ]
    for kind, named in record["images_per_second"].items():
        base = list(named.values())[-1]["median"]
        lines += ["", f"| {kind} views | images/s | ratio |", "|---|---|---|"]
        lines += [
            f"| {name} | {v['median']:,} ({v['least']:,} – {v['most']:,}) | {v['median'] / base:.2f} |"
            for name, v in named.items()
        ]
    options.out.with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
