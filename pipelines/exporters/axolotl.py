"""Axolotl: `data.jsonl`, and in `axolotl.yaml` the lines that its configuration needs.

    {kind: axolotl, format: messages}

    datasets:
    - path: data.jsonl
      ds_type: json
      type: chat_template
      field_messages: messages

The path is relative to the folder that Axolotl is started in.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

from pipelines.exporters.base import EXPORTERS, Finished
from pipelines.exporters.trainers import DATA_FILE, TrainerExporter
from pipelines.files import dump_yaml
from pipelines.rows import JSON

_ALPACA: Mapping[str, JSON] = {"type": "alpaca"}
_METHODS = {"preference": "dpo", "unpaired-preference": "kto"}


@EXPORTERS.register
class Axolotl(TrainerExporter):
    """Rows for Axolotl."""

    formats: ClassVar[Mapping[str, Mapping[str, JSON]]] = {
        "text": {"type": "completion", "field": "text"},
        "prompt-completion": {
            "type": {
                "field_instruction": "prompt",
                "field_output": "completion",
                "format": "{instruction}",
                "no_input_format": "{instruction}",
            }
        },
        "instruction": _ALPACA,
        "alpaca": _ALPACA,
        "messages": {"type": "chat_template", "field_messages": "messages"},
        "sharegpt": {
            "type": "chat_template",
            "field_messages": "conversations",
            "message_property_mappings": {"role": "from", "content": "value"},
        },
        "preference": {
            "type": {
                "field_prompt": "prompt",
                "field_chosen": "chosen",
                "field_rejected": "rejected",
                "prompt_format": "{prompt}",
                "chosen_format": "{chosen}",
                "rejected_format": "{rejected}",
            }
        },
        "unpaired-preference": {
            "type": {
                "field_prompt": "prompt",
                "field_completion": "completion",
                "field_label": "label",
                "prompt_format": "{prompt}",
                "completion_format": "{completion}",
            }
        },
        "stepwise": {"type": "stepwise_supervised", "step_separator": "\n"},
    }

    kind: Literal["axolotl"] = "axolotl"

    def describe(self, run: Finished, folder: Path) -> None:
        """Write `axolotl.yaml`."""
        method = _METHODS.get(self.format)
        data = {"path": DATA_FILE, "ds_type": "json", "split": "train"}
        config = {
            **({"rl": method} if method else {}),
            "datasets": [{**data, **self.formats[self.format]}],
        }
        text = dump_yaml(config)
        (folder / "axolotl.yaml").write_text(text, encoding="utf-8", newline="\n")
