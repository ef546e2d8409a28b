"""What a job says about a model. Imports nothing heavy.

models:
  writer: {model: embedded}
  tuned: {model: ./my-model, dtype: bfloat16}
  en_fr: {model: facebook/nllb-200-distilled-600M, src_lang: eng_Latn, tgt_lang: fra_Latn}
  remote: {server: "http://127.0.0.1:8000/v1", model: qwen3, api_key: "${SERVER_KEY}"}
  two: {server: ["http://10.0.0.1:8000/v1", "http://10.0.0.2:8000/v1"], model: qwen3}
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Setting = Literal["penalties", "response_format", "seed", "stop", "temperature"]
"""What a server may ignore without saying so."""


class Price(BaseModel):
    """What a server costs, in any currency.

    Attributes:
        input: For a million tokens of prompts.
        output: For a million tokens of replies.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: Annotated[float, Field(ge=0)] = 0.0
    output: Annotated[float, Field(ge=0)] = 0.0

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """The cost of so many tokens."""
        return (self.input * prompt_tokens + self.output * completion_tokens) / 1e6


class ModelSpec(BaseModel):
    """One model of a job.

    Attributes:
        model: `embedded`, a Hugging Face Hub id, a local folder, a `.gguf` file, `scripted`, or
            with `server` the name the server knows.
        server: Base URL of an OpenAI-compatible server, such as http://127.0.0.1:8000/v1; or
            several of servers with the same model, between which calls are balanced. The first
            stands for all of them in the ledger.
        api_key: For a server; only as an environment reference `${NAME}`.
        revision: Branch, tag or commit of a Hub id; resolved to a commit and pinned when first
            loaded.
        dtype: Weights and arithmetic; `auto` is bfloat16 where the CPU or GPU is quick at it.
        device: `auto` takes a CUDA device where there is one that torch can use.
        batch: Rows decoded together; for a server, calls in flight at most, at each address.
            Changes speed only, never a byte.
        deadline: For a server: seconds after which a call without its whole reply is tried again.
        engine: `vllm` hands a model of the Hub or a folder to vLLM in this process.
        price: For a server: what a million tokens cost.
        tolerate: For a server: settings that it may ignore without the job being refused.
        cache_gb: Memory for the keys and values of these rows, 10**9 bytes; where it does not
            hold them all, fewer rows are decoded together.
        share_prefixes: Attend to what prompts have in common as one matrix product. Changes the
            rounding, so it is part of a call's key.
        window: Context window in tokens; left out, the model's own.
        src_lang, tgt_lang: For a translator of many languages (NLLB, M2M100, mBART-50): the codes
            of the language that it reads and of the one that it writes, as its tokenizer has them.
        replies: For `scripted` only: the replies it gives, chosen by a hash of the call.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: Annotated[str, Field(min_length=1)]
    server: str | tuple[str, ...] = ""
    api_key: str = ""
    revision: str = ""
    dtype: Literal["auto", "bfloat16", "float32"] = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    batch: Annotated[int, Field(ge=1, le=1024)] = 48
    cache_gb: Annotated[float, Field(gt=0)] = 4.0
    share_prefixes: bool = True
    window: Annotated[int, Field(ge=16)] | None = None
    src_lang: str = ""
    tgt_lang: str = ""
    deadline: Annotated[float, Field(gt=0)] = 600.0
    price: Price | None = None
    engine: Literal["textmill", "vllm"] = "textmill"
    tolerate: tuple[Setting, ...] = ()
    replies: tuple[str, ...] = ()

    @field_validator("api_key")
    @classmethod
    def _key_is_a_reference(cls, value: str) -> str:
        if value and not (value.startswith("${") and value.endswith("}")):
            raise ValueError("never write a key into a job: use ${NAME} and set the variable NAME")
        return value

    @field_validator("server")
    @classmethod
    def _addresses_are_addresses(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        addresses = (value,) if isinstance(value, str) else value
        if len(set(addresses)) < len(addresses):
            raise ValueError("an address is named twice")
        for address in addresses:
            if address and not address.startswith(("http://", "https://")):
                raise ValueError(f"an address begins with http:// or https://, found {address!r}")
        return value

    @property
    def addresses(self) -> tuple[str, ...]:
        """The server's addresses; none for a model on this machine."""
        if isinstance(self.server, str):
            return (self.server,) if self.server else ()
        return self.server

    @model_validator(mode="after")
    def _server_fields_need_a_server(self) -> "ModelSpec":
        if self.api_key and not self.server:
            raise ValueError("api_key is for a server; this model has none")
        if (self.price or self.tolerate) and not self.server:
            raise ValueError("price and tolerate are for a server; this model has none")
        named = self.model not in {"embedded", "scripted"} and not self.model.endswith(".gguf")
        if self.engine == "vllm" and (self.server or not named):
            raise ValueError("engine vllm is for a model of the Hub or a folder")
        if bool(self.src_lang) != bool(self.tgt_lang):
            raise ValueError("src_lang and tgt_lang go together: eng_Latn and fra_Latn")
        if self.src_lang and (self.server or not named or self.engine == "vllm"):
            raise ValueError("src_lang and tgt_lang are for a translator of the Hub or a folder")
        if self.replies and self.model != "scripted":
            raise ValueError("replies are for the model 'scripted'")
        return self
