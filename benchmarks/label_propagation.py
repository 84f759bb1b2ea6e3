"""Time and memory of label propagation beside scikit-learn: `python benchmarks/label_propagation.py`, about 15 minutes.

Solver: both get the same graph of 50 nearest neighbours and 10 labels per class; scikit-learn's LabelSpreading runs
until nothing changes by more than 1e-4 (at its default of 1e-3 a few labels are still to change), ssal to a residual of
1e-6, normalisation of the graph included on both sides, the search for neighbours on neither. End to end: from features
to labels, each in a process of its own, beside LabelSpreading(kernel="rbf") with its default gamma and its default of
30 iterations at most. ssal and its peer take turns, so that a busy moment meets both. Figures are medians; memory is
what the process grew by at its highest. Writes benchmarks/results/label_propagation.json and .md.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import torch
from measuring import machine, measured
from scipy.sparse import csr_array, csr_matrix
from sklearn.semi_supervised import LabelSpreading
from torch import Tensor
from torch.nn.functional import normalize

from ssal.learner.propagation import edge_weights, graph_of, neighbour_graph, propagate, seeds
from ssal.neighbours import most_similar_others

FEATURES, NEIGHBOURS, PER_CLASS, ALPHA, REPEATS = 128, 50, 10, 0.99, 3
RESULT = Path(__file__).parent / "results" / "label_propagation.json"

SOLVER = [(5_000, 10), (20_000, 10), (50_000, 10), (20_000, 100)]
"""Nodes and classes."""
END_TO_END = 20_000


def problem(nodes: int, classes: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return unit features of five touching groups per class, their classes, and labelled rows."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(5 * classes, FEATURES, generator=generator)
    group = torch.randint(5 * classes, (nodes,), generator=generator)
    features = centres[group] + 1.75 * torch.randn(nodes, FEATURES, generator=generator)
    labels = group % classes
    rows = torch.cat([(labels == number).nonzero()[:PER_CLASS, 0] for number in range(classes)])
    return normalize(features), labels, rows


def asked(labels: Tensor, rows: Tensor) -> numpy.ndarray:
    """Return labels as scikit-learn wants them: -1 where there is none."""
    found = numpy.full(len(labels), -1)
    found[rows] = labels[rows]
    return found


def solver(nodes: int, classes: int) -> dict[str, Any]:
    """Solve on the same graphs in turn."""
    ours, theirs, wrong, residuals, iterations = [], [], [], [], []
    for seed in range(REPEATS):
        features, labels, rows = problem(nodes, classes, seed)
        similarities, others = most_similar_others(features, NEIGHBOURS)
        weights = edge_weights(similarities)
        kept = weights > 0
        sources = torch.arange(nodes)[:, None].expand_as(others)[kept]
        edges = (sources, others[kept], weights[kept])
        directed = csr_array((edges[2].numpy(), (edges[0].numpy(), edges[1].numpy())), shape=(nodes, nodes))
        symmetric = csr_matrix(directed + directed.T)
        given = asked(labels, rows)

        def ask(edges: tuple[Tensor, Tensor, Tensor] = edges, rows: Tensor = rows, labels: Tensor = labels) -> Any:
            return propagate(graph_of(*edges, nodes), seeds(rows, labels[rows], nodes, classes), alpha=ALPHA)

        def ask_peer(graph: Any = symmetric, features: Tensor = features, given: Any = given) -> Any:
            model = LabelSpreading(kernel=lambda x, y: graph, alpha=ALPHA, max_iter=100_000, tol=1e-4)
            return model.fit(features.numpy(), given)

        ours.append(measured(ask))
        theirs.append(measured(ask_peer))
        solution, peer = ours[-1][2], theirs[-1][2]
        start = seeds(rows, labels[rows], nodes, classes)
        exact = propagate(graph_of(*edges, nodes), start, alpha=ALPHA, tolerance=1e-12).scores.argmax(dim=1).numpy()
        said = (solution.scores.argmax(dim=1).numpy(), peer.transduction_)
        wrong.append([int((labels != exact).sum()) for labels in said])
        residuals.append(solution.residual)
        iterations.append((solution.iterations, peer.n_iter_))
    return {
        "what": "solver",
        "nodes": nodes,
        "classes": classes,
        "peer": "LabelSpreading, same graph",
        **columns(ours, theirs),
        "other_labels": " and ".join(str(max(column)) for column in zip(*wrong, strict=True)),
        "iterations": iterations,
        "largest_residual": max(residuals),
    }


def columns(ours: list[Any], theirs: list[Any]) -> dict[str, Any]:
    """Return medians of seconds and MiB, and the median of the ratios within a repeat."""
    ratios = [their[0] / our[0] for our, their in zip(ours, theirs, strict=True)]
    return {
        "seconds": middle(ours, 0),
        "mebibytes": round(middle(ours, 1)),
        "peer_seconds": middle(theirs, 0),
        "peer_mebibytes": round(middle(theirs, 1)),
        "times_faster": round(statistics.median(ratios), 1),
        "all_seconds": [round(run[0], 4) for run in ours],
        "peer_all_seconds": [round(run[0], 4) for run in theirs],
    }


def middle(runs: list[Any], column: int) -> float:
    return round(statistics.median(run[column] for run in runs), 4)


def in_this_process(which: str, nodes: int, seed: int) -> None:
    """Go from features to labels once and print seconds, MiB and accuracy; libraries are warm before the clock."""

    def ask(nodes: int, measure: Callable[[Callable[[], Any]], Any]) -> Any:
        features, labels, rows = problem(nodes, 10, seed)
        given, inputs = asked(labels, rows), features.numpy()
        if which == "ssal":
            start = (rows, labels[rows], nodes, 10)
            found = measure(lambda: propagate(neighbour_graph(features, NEIGHBOURS), seeds(*start), alpha=ALPHA))
            said = found[2].scores.argmax(dim=1).numpy()
        else:
            found = measure(lambda: LabelSpreading(kernel="rbf", alpha=ALPHA).fit(inputs, given))
            said = found[2].transduction_
        return found[0], found[1], float((said == labels.numpy()).mean())

    ask(500, measured)
    print(json.dumps(ask(nodes, measured)))


def end_to_end(nodes: int) -> dict[str, Any]:
    """Start a process for every run, in turn."""
    runs: dict[str, list[Any]] = {"ssal": [], "scikit-learn": []}
    for seed in range(REPEATS):
        for which, found in runs.items():
            command = [sys.executable, "-W", "ignore", __file__, which, str(nodes), str(seed)]
            output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            found.append(json.loads(output.splitlines()[-1]))
    ours, theirs = runs["ssal"], runs["scikit-learn"]
    row = {"what": "end to end", "nodes": nodes, "classes": 10, "peer": "LabelSpreading(rbf)", **columns(ours, theirs)}
    row["memory_ratio"] = round(row["peer_mebibytes"] / row["mebibytes"], 1)
    return row | {"accuracy": middle(ours, 2), "peer_accuracy": middle(theirs, 2)}


def about() -> dict[str, Any]:
    packages = ("torch", "numpy", "scipy", "scikit-learn")
    return machine(*packages) | {"seeds": f"0 to {REPEATS - 1}, one per repeat"}


def main() -> None:
    warnings.filterwarnings("ignore")
    result: dict[str, Any] = {"machine": about(), "cases": []}
    lines = [
        "Label propagation, " + ", ".join(f"{key} {value}" for key, value in result["machine"].items()),
        f"\n{FEATURES} features per node, {PER_CLASS} labels per class, {NEIGHBOURS} neighbours, α = {ALPHA}. Medians "
        f"of {REPEATS}; the ratio is the median of ratios within a repeat.\nsolver: both are given the graph's edges; "
        "end to end: from features to labels, the peer stops after 30 iterations.\nother labels: of how many nodes "
        "ssal and the peer say another class than a solution to 1e-12, at most.\n",
        "| what | nodes | classes | seconds | MiB | peer | seconds | MiB | times faster | other labels | accuracy |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    shown = ["what", "nodes", "classes", "seconds", "mebibytes", "peer", "peer_seconds", "peer_mebibytes"]
    shown += ["times_faster", "other_labels"]
    solver(500, 10)  # load every library once before anything is timed
    for case in [*SOLVER, (END_TO_END,)]:
        row = solver(*case) if len(case) == 2 else end_to_end(*case)
        result["cases"].append(row)
        accuracy = f"{row['accuracy']:.3f}, peer {row['peer_accuracy']:.3f}" if "accuracy" in row else ""
        lines.append("| " + " | ".join([*(str(row.get(column, "")) for column in shown), accuracy]) + " |")
        print(lines[-1], flush=True)
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    RESULT.with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) == 4:
        in_this_process(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    else:
        main()
