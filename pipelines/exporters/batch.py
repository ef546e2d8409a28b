"""Requests for a batch API: OpenAI's, or vLLM's `run-batch`.

    {kind: batch, model: NAME, prompt: question, body: {max_tokens: 256}}

    {"custom_id": "9f2c...", "method": "POST", "url": "/v1/chat/completions",
     "body": {"model": "NAME", "messages": [{"role": "user", "content": "When?"}], ...}}

`custom_id` is the row's id. The source `batch` reads the answers, and joins them to the rows again.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from pipelines.exporters.base import EXPORTERS, Exporter, Finished
from pipelines.exporters.jsonl import JsonlFile
from pipelines.exporters.parts import as_turns, part_of
from pipelines.exporters.settings import Count
from pipelines.exporters.shards import Limit, Shards
from pipelines.rows import JSON, Row
from prompts.errors import unknown

_OWN = {"model", "messages", "stream"}


@EXPORTERS.register
class Batch(Exporter):
    """One chat request a row.

    Attributes:
        model: The model that is asked, as the server calls it.
        prompt: The column that is asked: text, or a list of {role, content}.
        system: A column with a system message; left out, none.
        body: Further settings of every request, such as `temperature`.
        url: Where the server takes chat requests.
        shard_rows: The most requests of a file; 0 for any number.
        shard_mb: Megabytes at which a file ends; 0 for any size.
    """

    kind: Literal["batch"] = "batch"
    model: Annotated[str, Field(min_length=1)]
    prompt: str = "prompt"
    system: str = ""
    body: dict[str, Any] = {}
    url: str = "/v1/chat/completions"
    shard_rows: Count = 50_000
    shard_mb: Count = 190

    @field_validator("body")
    @classmethod
    def _body_leaves_the_rest(cls, value: dict[str, Any]) -> dict[str, Any]:
        if _OWN & value.keys():
            raise ValueError(f"leave '{min(_OWN & value.keys())}' out of it")
        return value

    def check(self, columns: set[str]) -> None:
        """All columns will exist."""
        for key in ("prompt", "system"):
            column = getattr(self, key)
            if column and column not in columns:
                raise unknown("column", column, list(columns), key=key)

    def write(self, run: Finished, folder: Path) -> dict[str, Any]:
        """Write the requests.

        Returns:
            `{"rows": 30}`, and with more than one file its `files`.

        Raises:
            UsageError: A prompt is neither text nor turns; names column and row.
        """
        limit = Limit(self.shard_rows, self.shard_mb)
        with Shards(folder, "requests", ".jsonl", JsonlFile, limit) as shards:
            for row in run.rows():
                shards.add(self._request(row))
        files = {"files": len(shards.names())} if shards.names()[1:] else {}
        return {"rows": shards.rows, **files}

    def _request(self, row: Row) -> dict[str, JSON]:
        messages = as_turns(part_of(row, self.prompt, "exchange", "a prompt", key="prompt"), "user")
        if self.system and row.data.get(self.system) is not None:
            system = part_of(row, self.system, "text", "a system message", key="system")
            messages = [*as_turns(system, "system"), *messages]
        body = {"model": self.model, "messages": messages, **self.body}
        return {"custom_id": row.id, "method": "POST", "url": self.url, "body": body}
