"""Inbox: people answer on the labelling page, or by filling a CSV file that lies in the round's folder."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field

from ssal.artefacts import write_text
from ssal.data.images import Images
from ssal.errors import Waiting, listing
from ssal.labelling.answers import SKIPPED, Answer
from ssal.labelling.files.csv_answers import csv_text, read_csv
from ssal.labelling.files.questions import Question
from ssal.labelling.files.reading import accepted
from ssal.labelling.ledger import Ledger, Said
from ssal.registry import answerer

TO_LABEL = "to_label.csv"
CSV = "csv"


@answerer(asks_people=True)
def inbox(
    ids: Sequence[str],
    images: Images,
    folder: Path,
    *,
    ledger: Ledger,
    number: int,
    prepare: Callable[[], dict[str, tuple[str, float]]],
    asked_of_two: Annotated[float, Field(ge=0, le=1)] = 0.0,
) -> dict[str, Answer]:
    """Return what people answered on the page or in `to_label.csv`; raise Waiting while some images wait.

    A first call writes what they are shown. What the file says is taken over into the ledger, as said by who runs this.
    Of a share `asked_of_two` of the images two people are asked on the page; where they differ, a third look decides.
    Images that are gone since they were chosen count as skipped.
    Raises BadInput, with line numbers, for ids that were not asked for and classes that are not known; nothing is taken
    from such a file.
    """
    file = folder / TO_LABEL
    paths = {id: images.pool.paths[images.pool.row(id)] for id in sorted(ids) if id in images.pool}
    gone = {id: Answer(id, SKIPPED, who="ssal") for id in ids if id not in paths}
    if not file.exists():
        best = prepare()
        write_text(file, csv_text([Question(id, path, *best.get(id, ())) for id, path in paths.items()]))
    record(accepted(read_csv(file, paths, images.classes)).values(), ledger, number, CSV)
    settled = ledger.settled()
    answers = {id: gone.get(id) or settled.get((id, number)) for id in ids}
    differ = [id for id in ids if (id, number) in settled and answers[id] is None]
    if waiting := [id for id in ids if answers[id] is None]:
        told = f", on {len(differ)} of which people differ (a third look decides)" if differ else ""
        wait = "images wait" if len(waiting) > 1 else "image waits"
        raise Waiting(
            f"{len(waiting)} {wait} for labels{told}: type ssal label and the recipe, or write a class into the label "
            f"column of {file} ({listing(images.classes, 10)}); then run the same command again"
        )
    return {id: answer for id, answer in answers.items() if answer is not None}


def record(answers: Iterable[Answer], ledger: Ledger, number: int, via: str, who: str = "") -> int:
    """Write answers of a file for round `number` into the ledger, once however often it is read; return how many.

    So what was corrected or taken back since then stays so until the file says something new. `who` is who gave those
    whose file does not say: the user of this machine, unless named.
    """
    who = who or getpass.getuser()
    before = [one for one in ledger.said(undone=True) if (one.round, one.via) == (number, via)]
    last = {(one.answer.id, one.answer.who): one.answer for one in before}
    new = []
    for answer in answers:
        by = answer.who or who
        known = last.get((answer.id, by))
        if known is None or (known.kind, known.label) != (answer.kind, answer.label):
            new.append(Said(Answer(answer.id, answer.kind, answer.label, by, answer.seconds, answer.at), number, via))
    ledger.say(new)
    return len(new)
