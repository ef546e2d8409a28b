"""Runs without a model that reports are made of, hostile texts among them."""

import hashlib
import json
from pathlib import Path
from typing import Any

from jobs import launched

from pipelines.folder import RunFolder, open_run
from pipelines.reports.run_report import read_material, run_page

ATTACK = "</script><script>document.title = 'owned'</script><img src=x onerror=alert(1)>"
WORDS = [
    "slow",
    "bright",
    "old",
    "quiet",
    "song",
    "scene",
    "city",
    "river",
    "actor",
    "ending",
    "plot",
    "letter",
    "winter",
    "garden",
    "night",
    "window",
    "stranger",
    "music",
    "laughter",
    "silence",
    "colour",
    "camera",
    "friend",
    "story",
    "road",
    "train",
    "island",
    "mirror",
]
ESCAPES = "red \x1b[31malert\x1b[0m bell \x07 turned \u202eevil\u202c end"


def records(count: int) -> list[dict[str, Any]]:
    """Film reviews of two labels; each tenth is too short, each seventh nearly like another."""
    films = ["comedy", "western", "musical", "thriller", "drama"]
    found: list[dict[str, Any]] = []
    for place in range(count):
        film = films[place % len(films)]
        label = "positive" if place % 3 else "negative"
        number = place - 7 if place % 7 == 6 else place
        drawn = hashlib.sha256(str(number).encode()).digest()
        words = " ".join(WORDS[byte % len(WORDS)] for byte in drawn[:14])
        text = f"{film} number {number} with {words}"
        found.append({"text": "Short." if place % 10 == 9 else text, "label": label, "film": film})
    return found


def report_run(folder: Path, rows: list[dict[str, Any]], **changes: Any) -> RunFolder:
    """A finished run over these records, those of less than three words rejected."""
    lines = [json.dumps(record, ensure_ascii=False) for record in rows]
    (folder / "rows.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    settings: dict[str, Any] = {
        "models": {},
        "prompts": {},
        "sources": [{"kind": "records", "path": "rows.jsonl"}],
        "stages": [{"kind": "length", "field": "text", "unit": "words", "min": 3}],
        **changes,
    }
    return open_run(launched(folder, **settings).folder)


def page_of(folder: RunFolder) -> str:
    """The page of a run without stored vectors."""
    return run_page(read_material(folder), folder.path / "none.sqlite")


def data_of(page: str) -> dict[str, Any]:
    """The data that a page holds."""
    start = page.index('id="data">') + len('id="data">')
    found: dict[str, Any] = json.loads(page[start : page.index("</script>", start)])
    return found
