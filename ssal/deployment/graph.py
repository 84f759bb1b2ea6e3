"""The classifier as an ONNX graph, normalisation inside, and the check that onnxruntime answers as torch does."""

from __future__ import annotations

import importlib.util
import json
import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ssal.artefacts import writing
from ssal.deployment.classifier import Classifier
from ssal.errors import BadInput, listing

OPSET = 18
"""Of the ONNX operators; any onnxruntime since 1.14 (2023) runs it."""
INPUT, OUTPUT = "pixels", "probabilities"
TOLERANCE = 1e-3
"""Largest difference of a probability that two ways of computing the same classifier may have."""
PACKAGES = ("onnx", "onnxscript", "onnxruntime")
INSTALL = "pip install 'ssal[onnx]'"
WITHOUT = "or leave the ONNX file out with --no-onnx"


def missing() -> list[str]:
    """Return the packages that writing and checking an ONNX file needs and that are not installed."""
    return [name for name in PACKAGES if importlib.util.find_spec(name) is None]


def write_onnx(path: Path, classifier: Classifier, shape: Sequence[int], facts: dict[str, Any]) -> None:
    """Write the classifier of images (3,H,W) to one file, for batches of any size; `facts` are its metadata, as JSON.

    Raises BadInput where torch cannot export the backbone.
    """
    example = torch.zeros(2, *shape, dtype=torch.uint8)
    exporters = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [log.level for log in exporters]
    try:
        for log in exporters:
            log.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                classifier.traceable(), (example,), dynamo=True, opset_version=OPSET, verbose=False,
                input_names=[INPUT], output_names=[OUTPUT], dynamic_shapes=({0: torch.export.Dim("images")},),
            )  # fmt: skip
    except Exception as error:
        reason = next(iter(f"{error}".splitlines()), "") or type(error).__name__
        raise BadInput(f"the backbone cannot be written as ONNX ({reason}); use another one, {WITHOUT}") from error
    finally:
        for log, level in zip(exporters, levels, strict=True):
            log.setLevel(level)
    assert program is not None
    for node in program.model.graph:  # where the exporter notes this machine's paths
        node.metadata_props.clear()
    program.model.metadata_props.update({name: json.dumps(fact) for name, fact in facts.items()})
    with writing(path) as temporary:
        program.save(temporary, external_data=False)


def session(path: Path) -> Any:
    """Return an onnxruntime session of a file on the CPU, with as many threads as torch has."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


@torch.inference_mode()
def check_onnx(path: Path, classifier: Classifier, pixels: Tensor) -> None:
    """Raise BadInput where onnxruntime's probabilities of `pixels`, alone or together, are not the classifier's."""
    running = session(path)
    for batch in (pixels[:1], pixels):
        (said,) = running.run([OUTPUT], {INPUT: batch.numpy()})
        apart = np.abs(said - classifier(batch).numpy()).max(initial=0.0)
        if not apart <= TOLERANCE:  # nor where it is no number
            raise BadInput(
                f"the ONNX file and the classifier differ by {apart:.1g} on {len(batch)} images of the run, more than "
                f"{TOLERANCE}; nothing was written. Try another onnxruntime, {WITHOUT}"
            )


def told_missing() -> str:
    """Return what to type for an ONNX file where packages are missing; empty where none is."""
    absent = missing()
    return f"no ONNX file was written: {listing(absent)} not installed; type {INSTALL}" if absent else ""
