"""Reading files: what becomes of every file of a folder, encodings told, the main text of pages.

    python -m benchmarks.ingestion FOLDER

FOLDER may hold folders `docs_encodings` (a folder an encoding, as chardet's test files lie) and
`docs_html_trafilatura` (`html/` and `evaldata_share.json`, as trafilatura's evaluation has them).
"""

import codecs
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from chains.loading import SUFFIXES, Unreadable, read_bytes
from chains.loading.base import Limits
from chains.loading.encodings import decode
from chains.loading.sandbox import Reader

LARGER = {
    "ascii": "cp1252",
    "gb2312": "gb18030",
    "iso8859-1": "cp1252",
    "shift_jis": "cp932",
    "tis-620": "cp874",
}
"""Encodings -> what files that claim them hold; equal where the smaller one can decode them."""


def main() -> None:
    folder = Path(sys.argv[1])
    for figures in (read_all(folder), encodings(folder), main_text(folder)):
        for name, figure in figures:
            print(f"  {name:<58} {figure}")


def read_all(folder: Path) -> Iterator[tuple[str, str]]:
    """Every file as text, or as one line that names it and its reason."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    seconds: dict[str, list[float]] = {}
    reasons: Counter[str] = Counter()
    with Reader(Limits()) as reader:
        for path in files:
            begun = time.perf_counter()
            try:
                if not reader.read(path.read_bytes(), path.name).text.strip():
                    raise Unreadable("empty", "white space only")
                reasons["read"] += 1
            except Unreadable as bad:
                reasons[bad.reason] += 1
                if bad.reason != "unsupported_type":
                    print(f"{path.relative_to(folder)}: {bad}")
            name = SUFFIXES[path.suffix.lower()].name if path.suffix.lower() in SUFFIXES else "none"
            seconds.setdefault(name, []).append(time.perf_counter() - begun)
    yield "files", str(len(files))
    yield "what became of them", ", ".join(f"{k} {n}" for k, n in reasons.most_common())
    yield "in all", str(sum(reasons.values()))
    for name, taken in sorted(seconds.items()):
        yield f"{name}: files, median and longest", f"{len(taken)}, {_spread(taken)}"


def _spread(taken: list[float]) -> str:
    return f"{sorted(taken)[len(taken) // 2] * 1000:.0f} ms, {max(taken):.2f} s"


def encodings(folder: Path) -> Iterator[tuple[str, str]]:
    """Files that decode to the same text as by the encoding that their folder is named after."""
    root = folder / "docs_encodings"
    files = [path for path in sorted(root.glob("*/*")) if path.is_file()]
    right = 0
    for path in files:
        try:
            if decode(path.read_bytes()) == _truth(path):
                right += 1
            else:
                print(f"{path.relative_to(root)}: another text")
        except (Unreadable, LookupError, UnicodeDecodeError) as exc:
            print(f"{path.relative_to(root)}: {exc}")
    if files:
        yield "encodings told rightly", f"{right} of {len(files)} ({right / len(files):.1%})"


def _truth(path: Path) -> str:
    label = path.parent.name
    while True:  # "windows-1250-polish" is windows-1250
        try:
            name = codecs.lookup(label).name
            break
        except LookupError:
            label, dash, _ = label.rpartition("-")
            if not dash:
                raise
    text = path.read_bytes().decode(LARGER.get(name, name))
    return text.removeprefix("\ufeff")


def main_text(folder: Path) -> Iterator[tuple[str, str]]:
    """How many marked passages of pages are kept, and how many that do not belong are left out."""
    root = folder / "docs_html_trafilatura"
    if not root.is_dir():
        return
    from trafilatura import extract

    gold = json.loads((root / "evaldata_share.json").read_text(encoding="utf-8"))
    ways: dict[str, Callable[[bytes], str]] = {
        "ours": lambda page: read_bytes(page, "page.html").text,
        "trafilatura by default": lambda page: extract(page) or "",
    }
    for name, way in ways.items():
        kept = lost = wrong = 0
        for entry in gold.values():
            text = _folded(way((root / "html" / entry["file"]).read_bytes()))
            found = sum(_folded(passage) in text for passage in entry["with"])
            kept, lost = kept + found, lost + len(entry["with"]) - found
            wrong += sum(_folded(passage) in text for passage in entry["without"])
        precision, recall = kept / (kept + wrong), kept / (kept + lost)
        f1 = 2 * precision * recall / (precision + recall)
        yield f"main text of pages, {name}", f"F1 {f1:.3f} ({precision:.3f}, {recall:.3f})"


def _folded(text: str) -> str:
    return " ".join(text.split())


if __name__ == "__main__":
    main()
