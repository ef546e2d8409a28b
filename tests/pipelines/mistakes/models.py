"""Models and servers that cannot be used."""

import json
from collections.abc import Callable
from typing import Any

from mistakes.cases import Case, Files, from_job, model
from mistakes.worlds import server
from tests.chains.fake_server import GOOD_KEY, FakeServer, completion

CONFIG = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 8}
CONFIG |= {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1}
CONFIG |= {"num_attention_heads": 2, "max_position_embeddings": 64}
ONLINE = "{server: 'http://ADDRESS/v1', model: qwen3}"


def weights(header: dict[str, Any], size: int = 0) -> bytes:
    """A safetensors file whose data is zeros."""
    raw = json.dumps(header).encode()
    return len(raw).to_bytes(8, "little") + raw + bytes(size)


def _folder(line: str, files: Files, code: int = 4, **config: object) -> Case:
    """A model folder `tiny` that has such files."""
    whole = {"config.json": json.dumps({**CONFIG, **config}), **files}
    named = {f"tiny/{name}": content for name, content in whole.items()}
    return from_job(line, model("{model: ./tiny}"), files=named, code=code)


def _online(
    line: str,
    configure: Callable[[FakeServer], object] = lambda fake: None,
    spec: str = ONLINE,
) -> Case:
    return Case(line, job=model(spec), code=4, world=server(configure))


def _refuse_all(fake: FakeServer) -> None:
    fake.needs_key = True


def _fail_after(count: int, status: int) -> Callable[[FakeServer], None]:
    """A server that answers so many calls, and then with that status for ever."""

    def configure(fake: FakeServer) -> None:
        said = (status, {"error": {"message": f"no more for {GOOD_KEY}"}})
        fake.chat = lambda body: (200, completion("Blue.")) if len(fake.requests) <= count else said

    return configure


_TENSOR = {"w": {"dtype": "BF16", "shape": [8], "data_offsets": [0, 16]}}
_KEYED = "{server: 'http://ADDRESS/v1', model: qwen3, api_key: '${TEXTMILL_WRONG}'}"

MODELS = {
    "model that is not there": from_job(
        "nowhere: no such model folder; fix: check the path",
        model("{model: ./nowhere}"),
        code=4,
    ),
    "model of the Hub while offline": from_job(
        "job.yaml:4: models.writer: the model 'no/such-model' is not on this machine, and the run "
        "is offline; fix: run 'hf download no/such-model' once with a network, or name a local "
        "folder as ./NAME",
        model("{model: no/such-model}"),
        code=4,
    ),
    "server that is down": from_job(
        "job.yaml:4: models.writer.server: the server cannot be reached: ...; "
        "fix: start the server, or correct the address",
        model("{server: 'http://127.0.0.1:9/v1', model: m}"),
        code=4,
    ),
    "type of number": from_job(
        "job.yaml:4: models.writer.dtype: found 'int8'; "
        "fix: input should be 'auto', 'bfloat16' or 'float32'",
        model("{model: embedded, dtype: int8}"),
    ),
    "pickled weights": _folder(
        "tiny: its weights are pickled (pytorch_model.bin), ...", {"pytorch_model.bin": b"\x80\x02"}
    ),
    "code of its own": _folder(
        "tiny...: the model brings Python code of its own (auto_map), which is never run; ...",
        {"model.safetensors": weights(_TENSOR, 16), "canary.py": "raise SystemExit('canary')"},
        auto_map={"AutoModelForCausalLM": "canary.Model"},
    ),
    "weights that are cut": _folder(
        "tiny...: the weights are damaged: ...", {"model.safetensors": weights(_TENSOR, 9)}
    ),
    "weights with a bad header": _folder(
        "tiny...: the weights are damaged: ...", {"model.safetensors": b"\xff" * 40}
    ),
    "no weights": _folder("tiny...: the folder has no *.safetensors...", {}),
    "no config": from_job(
        "tiny: the folder has no config.json; ...",
        model("{model: ./tiny}"),
        files={"tiny/model.safetensors": weights(_TENSOR, 16)},
        code=4,
    ),
    "config that is no JSON": from_job(
        "tiny/config.json: not valid JSON...; ...",
        model("{model: ./tiny}"),
        files={"tiny/model.safetensors": weights(_TENSOR, 16), "tiny/config.json": "{no"},
        code=4,
    ),
    "quantised weights": _folder(
        "tiny...: its weights are quantised...",
        {"model.safetensors": weights(_TENSOR, 16)},
        quantization_config={"quant_method": "gptq", "bits": 4},
    ),
    "unknown numbers in the weights": _folder(
        "tiny...: unsupported dtype: its weights are stored as F8E...",
        {"model.safetensors": weights({"w": {**_TENSOR["w"], "dtype": "F8E"}}, 16)},
    ),
    "no key": _online("job.yaml:4: ...the server refuses the key (401); ...", _refuse_all),
    "unknown to the server": _online(
        "job.yaml:4: models.writer.model: the server does not know the model 'qwen4'; "
        "fix: write 'qwen3' (served: llama3, qwen3)",
        spec=ONLINE.replace("qwen3", "qwen4"),
    ),
    "address without /v1": _online(
        "job.yaml:4: models.writer.server: ...; fix: write server: http://ADDRESS/v1",
        spec=ONLINE.replace("/v1", ""),
    ),
    "TLS that is none": _online(
        "job.yaml:4: models.writer.server: TLS failure...; ...",
        spec=ONLINE.replace("http:", "https:"),
    ),
    "web page in place of a server": _online(
        "job.yaml:4: models.writer.server: the address answers with a web page, not with JSON; ...",
        lambda fake: setattr(fake, "models", "<html>Welcome</html>"),
    ),
    "server that sends web pages": _online(
        "...not_json: ...", lambda fake: setattr(fake, "chat", lambda body: (200, "<html>"))
    ),
    "quota of the server used up": _online("...429...; fix: ...resume...", _fail_after(0, 429)),
    "server that dies on the way": _online("...500...; fix: ...", _fail_after(2, 500)),
}
