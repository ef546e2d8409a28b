"""LLaMA-Factory: `data.jsonl` and the `dataset_info.json` that describes it.

    {kind: llama_factory, format: preference}

    {"support-qa": {"file_name": "data.jsonl", "ranking": true,
                    "columns": {"prompt": "prompt", "chosen": "chosen", "rejected": "rejected"}}}

Training then names the folder as `dataset_dir` and the job's name as `dataset`.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

from pipelines.exporters.base import EXPORTERS, Finished
from pipelines.exporters.trainers import DATA_FILE, TrainerExporter
from pipelines.rows import JSON

_ALPACA = {"columns": {"prompt": "instruction", "query": "input", "response": "output"}}


@EXPORTERS.register
class LlamaFactory(TrainerExporter):
    """Rows for LLaMA-Factory.

    Attributes:
        name: The dataset's name; left out, the job's.
    """

    formats: ClassVar[Mapping[str, Mapping[str, JSON]]] = {
        "text": {"columns": {"prompt": "text"}},
        "prompt-completion": {"columns": {"prompt": "prompt", "response": "completion"}},
        "instruction": _ALPACA,
        "alpaca": _ALPACA,
        "messages": {
            "formatting": "sharegpt",
            "columns": {"messages": "messages"},
            "tags": {
                "role_tag": "role",
                "content_tag": "content",
                "user_tag": "user",
                "assistant_tag": "assistant",
                "observation_tag": "tool",
                "system_tag": "system",
            },
        },
        "sharegpt": {
            "formatting": "sharegpt",
            "columns": {"messages": "conversations"},
            "tags": {
                "role_tag": "from",
                "content_tag": "value",
                "user_tag": "human",
                "assistant_tag": "gpt",
                "observation_tag": "observation",
                "system_tag": "system",
            },
        },
        "preference": {
            "ranking": True,
            "columns": {"prompt": "prompt", "chosen": "chosen", "rejected": "rejected"},
        },
        "unpaired-preference": {
            "columns": {"prompt": "prompt", "response": "completion", "kto_tag": "label"}
        },
    }

    kind: Literal["llama_factory"] = "llama_factory"
    name: str = ""

    def describe(self, run: Finished, folder: Path) -> None:
        """Write `dataset_info.json`."""
        name = self.name or run.manifest["job"]["name"]
        info = {name: {"file_name": DATA_FILE, **self.formats[self.format]}}
        text = json.dumps(info, ensure_ascii=False, indent=2)
        (folder / "dataset_info.json").write_text(text + "\n", encoding="utf-8", newline="\n")
