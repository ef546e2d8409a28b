"""The report of a run: `report.html` in its folder, one file that any browser opens.

write_report(folder, Path("report.html"), ledger)     # bytes written

It holds no time of day, host or absolute path: the same run folder and ledger give the same bytes.
"""

import json
from pathlib import Path
from typing import Any

from pipelines.evaluation.evaluating import FILE
from pipelines.files import write_atomically
from pipelines.folder import RunFolder
from pipelines.launch import finished_manifest, reopen
from pipelines.reports.charts import definitions
from pipelines.reports.funnel import funnel
from pipelines.reports.gathering import gather
from pipelines.reports.layout import arrange
from pipelines.reports.likes import Way, duplicates, text_map
from pipelines.reports.markup import Markup, joined, tag
from pipelines.reports.material import Material
from pipelines.reports.packing import pack
from pipelines.reports.page import Part, page
from pipelines.reports.provenance import evaluation, provenance
from pipelines.reports.samples import samples
from pipelines.reports.slices import slices, telling
from pipelines.reports.summary import head
from pipelines.reports.texts import texts
from pipelines.reports.throughput import throughput
from pipelines.timing import read_timings
from prompts.errors import CorruptRunError

NAME = "report.html"


def write_report(folder: RunFolder, out: Path, ledger: Path, way: Way = "pca") -> int:
    """Write the report of a finished run.

    Args:
        folder: The run.
        out: The file to write.
        ledger: Where vectors for the map may be; it is only read.
        way: How the map is drawn.

    Returns:
        Bytes written.

    Raises:
        UsageError: The run is not finished, or UMAP is asked for and not installed.
        CorruptRunError: Its files are damaged.
    """
    text = run_page(read_material(folder), ledger, way)
    write_atomically(out, text)
    return len(text.encode())


def read_material(folder: RunFolder) -> Material:
    """A finished run, read and measured."""
    manifest = finished_manifest(folder)
    job = reopen(folder).job.as_data()
    found = gather(folder.rows(), folder.rejected())
    seen = [*found.shown, *(item.row for item in found.refused)]
    layout = arrange(job, seen, found.figures)
    divided = telling(found, layout, job)
    packed = pack(found, layout, divided)
    measured = _evaluation(folder.path / FILE)
    timings = tuple(read_timings(folder.path))
    return Material(manifest, job, found, layout, packed, divided, measured, timings)


def run_page(material: Material, ledger: Path, way: Way = "pca") -> str:
    """The page of a run."""
    parts = [
        Part("stages", "Stages", funnel(material)),
        Part("slices", "Slices", slices(material)),
        Part("texts", "Texts", texts(material)),
        Part("duplicates", "Near-duplicates", duplicates(material)),
        Part("map", "Map", text_map(material, ledger, way)),
        Part("samples", "Samples", samples(material)),
        Part("rows", "Rows", _browser(material)),
        Part("provenance", "Provenance", provenance(material)),
    ]
    if material.evaluation:
        parts.insert(-1, Part("evaluation", "Evaluation", evaluation(material)))
    if material.timings:
        parts.insert(-1, Part("throughput", "Throughput", throughput(material)))
    title = material.manifest["job"]["name"]
    return page(title, joined([definitions(), head(material)]), parts, material.packed.data)


def _browser(material: Material) -> Markup:
    """Where the script puts the rows, and what of them is not in the page."""
    packed, found = material.packed, material.found
    refused = len(packed.data["rows"]) - packed.accepted
    notes = [f"{packed.accepted:,} of {found.rows:,} accepted rows are in this page"]
    notes.append(f"{refused:,} of {material.rejected(quota=True):,} rejected ones")
    drawn = ", drawn by hash" if packed.accepted < found.rows else ""
    said = f"{' and '.join(notes)}{drawn}; texts are cut at {packed.cell:,} characters."
    silent = tag(
        "noscript", tag("p", "Reading the rows here needs JavaScript; rows.jsonl has them.")
    )
    return joined([tag("p", said, class_="note"), silent, tag("div", id="browser")])


def _evaluation(file: Path) -> dict[str, Any]:
    """What `evaluate` found, if it was asked.

    Raises:
        CorruptRunError: The file is damaged.
    """
    if not file.is_file():
        return {}
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError("not a JSON object")
    except (ValueError, RecursionError) as exc:
        fix = "write it anew with evaluate, or delete it"
        raise CorruptRunError("cannot be read", fix=fix, file=file) from exc
    return found
