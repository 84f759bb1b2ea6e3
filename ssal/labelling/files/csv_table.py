"""A table of answers as spreadsheets save it: whatever its encoding, separator and line ends."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator

from ssal.labelling.files.reading import Reading, decoded
from ssal.labelling.files.words import Unclear

NAMES = ("id", "path", "label")
"""The columns that are read; the path may tell the image where the id does not."""
SEPARATORS = ",;\t"
ENCODINGS = ("utf-8", "cp1252", "cp1250", "cp1251", "mac_roman", "cp850")
"""What a file may be in that is not UTF-8 as a whole; `texts` gives a cell in each of them."""
SAVE_AS = "save the file as CSV in UTF-8 (Excel: 'CSV UTF-8'; LibreOffice: character set UTF-8)"
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?[,;\s]*', re.IGNORECASE)
_LINE_END = re.compile("\r\n|\r|\n")


def table(reading: Reading, data: bytes) -> Iterator[tuple[int, dict[str, str]]]:
    """Give (line, stripped cell by name of NAMES) of every row that is not blank.

    Of a file that is not in UTF-8, what is not ASCII stands as lone surrogates. Raises Unclear where its header is not
    that of a table of answers; a row that cannot be read is a problem of `reading`.
    """
    text = _text(data)
    if (nul := text.find("\0")) >= 0:
        with reading.at(len(_LINE_END.findall(text, 0, nul)) + 1):
            raise Unclear(f"expected text, got a NUL byte: the file is damaged, or in an unusual encoding; {SAVE_AS}")
        return
    rows = _rows(reading, text)
    header = next(rows, (1, []))[1]
    numbers = _numbers(header)
    for line, row in rows:
        if any(cell.strip() for cell in row[len(header) :]):
            with reading.at(line):
                told = f"expected {len(header)} values as in the header, got {len(row)}"
                raise Unclear(f"{told}; put values that hold a separator in quotes")
        else:
            yield (
                line,
                {name: row[at].strip() if at is not None and at < len(row) else "" for name, at in numbers.items()},
            )


def _text(data: bytes) -> str:
    try:
        return decoded(data)
    except UnicodeDecodeError as error:
        if error.encoding not in ("utf-8", "utf-8-sig"):
            raise Unclear(f"expected {error.encoding.upper()} text, as the file begins; {SAVE_AS}") from error
    return data.decode("ascii", "surrogateescape")


def texts(cell: str) -> list[str]:
    """Return every text that a cell may be: itself, or its bytes in each of the ENCODINGS where none is known."""
    if not any("\udc80" <= letter <= "\udcff" for letter in cell):
        return [cell]
    data = cell.encode("ascii", "surrogateescape")
    return [data.decode(encoding, "replace").strip() for encoding in ENCODINGS]


def _rows(reading: Reading, text: str) -> Iterator[tuple[int, list[str]]]:
    """Give (line it starts on, cells) of every row that is not blank, up to where quotes go wrong."""
    first = _LINE_END.split(text.lstrip("\r\n"), maxsplit=1)[0]
    told = _SEPARATOR_LINE.fullmatch(first)
    separator = told[1] if told else _separator(first)
    # Strict: a quote that is never closed would otherwise swallow all rows after it without a word.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True)
    skip, header = bool(told), True
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if header:
                wanted = f"expected a header such as {','.join(NAMES)}, with one separator"
                raise Unclear(f"{wanted}; got {_shown(first)}, which is no CSV ({error})") from error
            with reading.at(line):
                raise Unclear(f"this row is no CSV ({error}); is a quote left open?") from error
            return
        if any(cell.strip() for cell in row):
            if not skip:
                yield line, row
                header = False
            skip = False


def _shown(text: str) -> str:
    """Return the beginning of a text as a message shows it, or what it is where it is none."""
    odd = sum(not letter.isprintable() for letter in text)
    if 4 * odd > len(text):
        return f"{len(text)} bytes that are no text"
    return repr("".join(letter if letter.isprintable() else "�" for letter in text[:80])) + " …" * (len(text) > 80)


def _separator(header: str) -> str:
    """Return the separator that makes most columns of a header, those that are read before all others."""
    split = {one: {_name(cell) for cell in header.split(one)} for one in SEPARATORS}
    return max(SEPARATORS, key=lambda one: (len(split[one] & {*NAMES}), len(split[one])))


def _name(cell: str) -> str:
    return cell.strip(" \t\"'\ufeff").casefold()


def _numbers(header: list[str]) -> dict[str, int | None]:
    """Return number by name of the columns that are read; None where there is no such column. Raises Unclear."""
    found = [_name(cell) for cell in header]
    if "label" not in found or not {"id", "path"} & {*found}:
        raise Unclear(
            "expected the columns id and label"
            + (f", got {_shown(', '.join(header))}" if header else "; nothing is there")
        )
    if twice := [name for name in NAMES if found.count(name) > 1]:
        raise Unclear(f"the column {twice[0]} stands {found.count(twice[0])} times; keep one")
    if mixed := [cell for cell in header if any(one in cell for one in SEPARATORS)]:
        raise Unclear(
            f"expected one separator, got {mixed[0]!r} as a column: the spreadsheet did not split the file. Import it "
            "with comma as the separator (Excel: Data > From Text/CSV), so that each column stands alone"
        )
    return {name: found.index(name) if name in found else None for name in NAMES}
