"""The training loop: Lightning's Trainer as ssal uses it, so that step t is the same wherever a training was killed."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
import warnings
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins import TorchCheckpointIO
from torch import Tensor, nn
from torch.utils.data import IterableDataset

from ssal import tracking
from ssal.artefacts import reading, writing
from ssal.errors import BadInput, Diverged
from ssal.progress import StageBar
from ssal.streams import stream

logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
warnings.filterwarnings("ignore", message=".*does not have many workers.*")
warnings.filterwarnings("ignore", message=".*isinstance.*LeafSpec.*")
warnings.filterwarnings("ignore", message=".*IterableDataset.*__len__.*")
warnings.filterwarnings("ignore", message=".*lr_scheduler.step.*optimizer.step.*")

log = logging.getLogger("ssal")
STEPS_PER_LEG = 50
"""Lightning's epoch here: checkpoints are written between legs, and a loss that is not finite is met at their end."""


class Legs(IterableDataset):
    """Batches of steps `start` … `steps`, handed to Lightning in legs; `start` is read when a leg begins."""

    def __init__(self, module: pl.LightningModule, steps: int, batches: Callable[[range], Iterable[Any]]) -> None:
        """Keep `batches`, which yields the batch of every step of a range."""
        self.module, self.steps, self.batches = module, steps, batches

    def __iter__(self) -> Iterator[Any]:
        """Yield the batches of the next leg."""
        start = self.module.global_step
        yield from self.batches(range(start, min(start + STEPS_PER_LEG, self.steps)))


class Steady(pl.Callback):
    """Seeds every step by its number, keeps the last good checkpoint, stops at a loss that is not finite."""

    def __init__(self, names: tuple[int | str, ...], folder: Path, checkpoint_seconds: float) -> None:
        """`names` are the random stream's; a checkpoint is written between legs, at most every so many seconds."""
        self.names, self.folder, self.checkpoint_seconds = names, folder, checkpoint_seconds
        self.saved = time.monotonic()
        self.losses: list[Tensor] = []
        self.curve: list[float] = []

    def on_train_batch_start(self, trainer: pl.Trainer, module: pl.LightningModule, batch: Any, index: int) -> None:
        """Give dropout, views and every other draw of this step their own stream."""
        torch.manual_seed(stream(*self.names, "step", module.global_step))

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, index: int
    ) -> None:
        """Remember the loss without waiting for the device."""
        self.losses.append(outputs["loss"].detach())

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Check the leg's losses, then save."""
        if not self.losses:
            return
        losses = torch.stack(self.losses)
        self.losses = []
        self._check(losses.isfinite(), trainer, module)
        self.curve.append(float(losses.mean()))
        tracking.log(self.names[1:], {"loss": self.curve[-1]}, module.global_step)
        log.debug("step %d of %d: loss %.4f", module.global_step, trainer.max_steps, self.curve[-1])
        if module.global_step < trainer.max_steps and time.monotonic() - self.saved >= self.checkpoint_seconds:
            trainer.save_checkpoint(self.folder / "training" / "last.ckpt")
            self.saved = time.monotonic()

    def _check(self, finite: Tensor, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Raise Diverged where a loss of the leg, or a weight at its end, is not finite."""
        whole = torch.stack([tensor.isfinite().all() for tensor in (*module.parameters(), *module.buffers())])
        if bool(finite.all() and whole.all()):
            return
        bad = (~finite).nonzero()
        step = module.global_step - (len(finite) - int(bad[0]) if len(bad) else 1)
        last = self.folder / "training" / "last.ckpt"
        kept = f"the last good checkpoint is kept: {last}" if last.exists() else "no checkpoint was written before"
        raise Diverged(
            f"{self.folder}: the {'loss is' if len(bad) else 'weights are'} not finite at step {step} of "
            f"{trainer.max_steps}; {kept}. Try a smaller learning_rate, or trainer.precision=32-true"
        )

    def state_dict(self) -> dict[str, Any]:
        """Keep the loss curve over a resume."""
        return {"curve": self.curve}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with the curve."""
        self.curve = state["curve"]


class AtomicCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint beside the old one and then takes its place: a kill or a full disk leaves the old one."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Write all or nothing."""
        with writing(Path(path)) as temporary:
            torch.save(checkpoint, temporary)


def decayed_groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Return optimiser groups: kernels decay; biases and BatchNorm neither decay nor are scaled by LARS."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


def fastest_precision(accelerator: str) -> str:
    """Return bf16-mixed where the device that `accelerator` means computes in bfloat16, else 32-true."""
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:  # torch has no public question for CPUs
        asked = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        fast = accelerator != "mps" and any(getattr(torch.cpu, name, bool)() for name in asked)
    return "bf16-mixed" if fast else "32-true"


def _trainer(options: dict[str, Any], callbacks: list[pl.Callback], **more: Any) -> pl.Trainer:
    given = {key: value for key, value in options.items() if key in ("accelerator", "devices", "precision")}
    if given.get("precision") == "16-mixed" and not torch.cuda.is_available():
        raise BadInput("trainer.precision: 16-mixed needs a GPU; type trainer.precision=bf16-mixed or 32-true")
    if isinstance(given.get("devices"), tuple):
        given["devices"] = list(given["devices"])
    return pl.Trainer(
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=any(isinstance(callback, StageBar) for callback in callbacks),
        callbacks=callbacks,
        plugins=[AtomicCheckpoints()],
        use_distributed_sampler=False,
        **given,
        **more,
    )


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C out as what it is: Lightning makes it exit code 1 and leaves the signal ignored."""
    before = signal.getsignal(signal.SIGINT) if threading.current_thread() is threading.main_thread() else None
    try:
        yield
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise
    finally:
        if before is not None:
            signal.signal(signal.SIGINT, before)


def fit(
    module: pl.LightningModule,
    steps: int,
    batches: Callable[[range], Iterable[Any]],
    folder: Path,
    names: tuple[int | str, ...],
    trainer_options: dict[str, Any],
) -> list[float]:
    """Train `module` for `steps` steps, from the checkpoint in `folder` where one stands; return the loss per leg.

    Raises Diverged at a loss that is not finite.
    """
    steady = Steady(names, folder, trainer_options.get("checkpoint_seconds", 30.0))
    module.to(memory_format=torch.channels_last)  # convolutions are faster so, on CPU and GPU alike
    if trainer_options.get("compile"):
        for network in module.children():
            network.compile()
    watched = sys.stderr.isatty() and log.isEnabledFor(logging.INFO)
    callbacks: list[pl.Callback] = [steady, StageBar(names)] if watched else [steady]
    trainer = _trainer(trainer_options, callbacks, max_steps=steps, max_epochs=-1)
    checkpoint = folder / "training" / "last.ckpt"
    if checkpoint.exists():
        with reading(checkpoint):
            if not zipfile.is_zipfile(checkpoint):
                raise ValueError("it is not whole")
    loader = torch.utils.data.DataLoader(Legs(module, steps, batches), batch_size=None)
    with _interruptible():
        trainer.fit(module, loader, ckpt_path=checkpoint if checkpoint.exists() else None, weights_only=False)
    return steady.curve


def predict(module: pl.LightningModule, batches: Iterable[Any], trainer_options: dict[str, Any]) -> dict[str, Tensor]:
    """Run `module.predict_step` over `batches` in order; return its named tensors, rows joined, on the CPU."""
    module.to(memory_format=torch.channels_last)
    trainer = _trainer(trainer_options, [])
    with _interruptible():
        parts: Any = trainer.predict(module, _Stream(batches), weights_only=False) or []
    return {name: _joined([part[name] for part in parts]) for name in (parts[0] if parts else {})}


def _joined(parts: list[Tensor]) -> Tensor:
    """Return rows on the CPU, floats as float32 whatever precision made them."""
    rows = torch.cat(parts).cpu()
    return rows.float() if rows.is_floating_point() else rows


class _Stream(IterableDataset):
    def __init__(self, batches: Iterable[Any]) -> None:
        self.batches = batches

    def __iter__(self) -> Iterator[Any]:
        return iter(self.batches)
