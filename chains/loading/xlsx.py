r"""Excel: the values of each sheet as they were last calculated, a row a line.

    reading = read_xlsx(data, Limits())
    reading.parts[0]        # Part(start=0, end=61, kind="sheet", label="Sales 2024")
    # "# Sales 2024\n\nCity | Sold\nParis | 12"

openpyxl reads them. Rows of a table that shall become rows of a dataset are better saved as CSV and
read by the source `records`.
"""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from io import BytesIO
from typing import Any

from chains.loading.archive import Archive
from chains.loading.base import Fault, Format, Limits, Reading, Unreadable
from chains.loading.joining import joined
from chains.loading.office import core_properties, main_part, table_lines


def read_xlsx(data: bytes, limits: Limits) -> Reading:
    """The text of all sheets that hold any.

    Raises:
        Unreadable: As `Archive`; `empty` where they hold nothing.
    """
    from openpyxl import load_workbook

    archive = Archive(data, limits)
    main_part(archive, "xl/workbook.xml")
    for name in archive.names:
        if name.endswith((".xml", ".rels")):
            archive.xml(name)  # refuses what openpyxl would read
    book = load_workbook(BytesIO(data), read_only=True, data_only=True)
    sheets = book.worksheets
    texts = [(sheet.title, _sheet_text(sheet)) for sheet in sheets[: limits.pages]]
    text, parts = joined(texts, "sheet")
    if not text:
        raise Unreadable("empty", f"no values on {len(sheets)} sheets")
    faults: tuple[Fault, ...] = ()
    if len(sheets) > limits.pages:
        detail = f"{len(sheets)} sheets, the first {limits.pages} are read"
        faults = (Fault(f"sheet {limits.pages + 1}", "too_many_pages", detail),)
    return Reading(text, parts, {**core_properties(archive), "page_count": len(sheets)}, faults)


def _sheet_text(sheet: Any) -> str:
    lines = table_lines(_rows(sheet))
    return f"# {sheet.title}\n\n{lines}" if lines else ""


def _rows(sheet: Any) -> Iterator[list[str]]:
    sheet.reset_dimensions()  # what it says of its size may be far from true
    for row in sheet.iter_rows(values_only=True):
        yield [_shown(value) for value in row]


def _shown(value: Any) -> str:
    """A value as a reader writes it: no `.0`, no time where there is only a day."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float):
        return f"{value:.15g}"
    if isinstance(value, datetime):
        midnight = value.time() == time()
        return value.date().isoformat() if midnight else value.isoformat(" ", "seconds")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return str(value)
    return str(value)


XLSX = Format("xlsx", (".xlsm", ".xlsx"), read_xlsx, binary=True)
