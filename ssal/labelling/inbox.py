"""Inbox: people answer on the labelling page, or by filling a CSV file that lies in the round's folder."""

from __future__ import annotations

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
from ssal.labelling.naming import Names
from ssal.labelling.settle import outcome, person, this_user
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
    Of a share `asked_of_two` of the images two people answer, whichever way; where they differ, a third look decides.
    Images that are gone since they were chosen are not waited for, and count as skipped unless somebody answered them.
    Raises BadInput, with line numbers, for ids that were not asked for and classes that are not known; nothing is taken
    from such a file.
    """
    file = folder / TO_LABEL
    paths = {id: images.pool.paths[images.pool.row(id)] for id in sorted(ids) if id in images.pool}
    best = prepare()
    if not file.exists():
        write_text(file, csv_text([Question(id, path, *best.get(id, ())) for id, path in paths.items()]))
    known = {id: paths.get(id, id) for id in sorted(ids)}  # who answered an image that is gone since did no wrong
    read = read_csv(file, known, images.classes, Names(ledger.chain.rows()).renamed())
    record(accepted(read).values(), ledger, number, CSV)
    found = outcome(ids, paths, ledger.said(), number, asked_of_two)
    if found.waiting:
        ways = found.ways()
        if found.unanswered:  # what the file says is no third look, and that of one person alone
            where = f"{file}{' where nobody has answered yet' * bool(ways)} ({listing(images.classes, 10)})"
            ways.insert(0, f"write a class into the label column of {where}")
        raise Waiting(f"{found.words()}: {', '.join(ways)}")
    return {id: found.answers.get(id) or Answer(id, SKIPPED, who="ssal") for id in ids}


def record(
    answers: Iterable[Answer], ledger: Ledger, number: int, via: str, who: str = "", decides: bool = False
) -> int:
    """Write answers of a file for round `number` into the ledger, once however often it is read; return how many.

    So what was corrected or taken back since then stays so until the file says something new. `who` is who gave those
    whose file does not say: the user of this machine, unless named. An answer that `decides` is a third look.
    """
    who = who or this_user()
    before = [one for one in ledger.said(undone=True) if (one.round, one.via, one.decides) == (number, via, decides)]
    last = {(one.answer.id, person(one.answer.who)): one.answer for one in before}
    new = []
    for answer in answers:
        by = answer.who or who
        known = last.get((answer.id, person(by)))
        if known is None or (known.kind, known.label) != (answer.kind, answer.label):
            told = Answer(answer.id, answer.kind, answer.label, by, answer.seconds, answer.at)
            new.append(Said(told, number, via, decides))
    ledger.say(new)
    return len(new)
