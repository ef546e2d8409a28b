"""What a job says about a model. Imports nothing heavy.

models:
  writer: {model: embedded}
  tuned: {model: ./my-model, dtype: bfloat16, overflow: truncate}
  remote: {server: "http://127.0.0.1:8000/v1", model: qwen3, api_key: "${SERVER_KEY}"}
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


class ModelSpec(BaseModel):
    """One model of a job.

    Attributes:
        model: `embedded`, a Hugging Face Hub id, a local folder, a `.gguf` file, `scripted`, or
            with `server` the name the server knows.
        server: Base URL of an OpenAI-compatible server, such as http://127.0.0.1:8000/v1.
        api_key: For a server; only as an environment reference `${NAME}`.
        revision: Branch, tag or commit of a Hub id; resolved to a commit and pinned when first
            loaded.
        dtype: Weights and arithmetic; `auto` is bfloat16 where the CPU or GPU is quick at it.
        device: `auto` takes a CUDA device where there is one.
        batch: Rows decoded together. Changes speed only, never a byte.
        cache_gb: Memory for the keys and values of these rows, 10**9 bytes; where it does not
            hold them all, fewer rows are decoded together.
        share_prefixes: Attend to what prompts have in common as one matrix product. Changes the
            rounding, so it is part of a call's key.
        window: Context window in tokens; left out, the model's own.
        replies: For `scripted` only: the replies it gives, chosen by a hash of the call.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: Annotated[str, Field(min_length=1)]
    server: str = ""
    api_key: str = ""
    revision: str = ""
    dtype: Literal["auto", "bfloat16", "float32"] = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    batch: Annotated[int, Field(ge=1, le=1024)] = 48
    cache_gb: Annotated[float, Field(gt=0)] = 4.0
    share_prefixes: bool = True
    window: Annotated[int, Field(ge=16)] | None = None
    replies: tuple[str, ...] = ()

    @field_validator("api_key")
    @classmethod
    def _key_is_a_reference(cls, value: str) -> str:
        if value and not (value.startswith("${") and value.endswith("}")):
            raise ValueError("never write a key into a job: use ${NAME} and set the variable NAME")
        return value

    @model_validator(mode="after")
    def _server_fields_need_a_server(self) -> "ModelSpec":
        if self.api_key and not self.server:
            raise ValueError("api_key is for a server; this model has none")
        if self.replies and self.model != "scripted":
            raise ValueError("replies are for the model 'scripted'")
        return self
