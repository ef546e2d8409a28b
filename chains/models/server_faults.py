"""What can be wrong with a server, as one line with a fix, and never with the key in it."""

from typing import Any

from chains.models.spec import ModelSpec
from prompts.errors import ModelError, nearest

SHOWN = 200
LOOK_UP_TIMEOUT = 10.0
TOO_LONG = ("context length", "context window", "context size", "maximum context", "too long")


class Redactor:
    """Takes a key out of texts."""

    def __init__(self, key: str) -> None:
        self._key = key

    def __call__(self, text: str) -> str:
        """The first line of `text`, cut short, the key blacked out."""
        line = (text.strip().splitlines() or [""])[0]
        return (line.replace(self._key, "***") if len(self._key) > 4 else line)[:SHOWN]


def look_up(spec: ModelSpec, key: str, redact: Redactor) -> int | None:
    """Ask which models are served; the window of the model, where the server tells it.

    Raises:
        ModelError: The server cannot be reached, is not one of this protocol, refuses the key, or
            does not serve the model.
    """
    import httpx

    base = spec.server.rstrip("/")
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(headers=headers, timeout=LOOK_UP_TIMEOUT) as client:
        try:
            response = client.get(f"{base}/models")
            served = _served(response)
            if served is None and response.status_code in {200, 404, 405}:
                _suggest_v1(client, base)
        except httpx.HTTPError as exc:
            raise _unreachable(exc, redact) from exc
    if response.status_code in {401, 403}:
        raise _refused_key(response.status_code)
    if served is None and response.status_code == 200:
        raise _not_json()
    if served is None:
        # Some servers have no list; a call will show whether they work.
        return None
    return _window(spec.model, served)


def _served(response: Any) -> list[dict[str, Any]] | None:
    """The server's list of models, None where the answer is not one."""
    if response.status_code != 200:
        return None
    try:
        entries = response.json()["data"]
        return [entry for entry in entries if isinstance(entry["id"], str)]
    except (ValueError, KeyError, TypeError):
        return None


def _suggest_v1(client: Any, base: str) -> None:
    if not base.endswith("/v1") and _served(client.get(f"{base}/v1/models")) is not None:
        problem = "the address has no OpenAI-compatible interface, and the one below it has"
        raise ModelError(problem, fix=f"write server: {base}/v1", key="server")


def _window(model: str, served: list[dict[str, Any]]) -> int | None:
    names = [entry["id"] for entry in served]
    if model not in names:
        guess = nearest(model, names)
        listing = ", ".join(sorted(names)) or "none"
        fix = f"write '{guess}' (served: {listing})" if guess else f"use one of: {listing}"
        raise ModelError(f"the server does not know the model '{model}'", fix=fix, key="model")
    window = served[names.index(model)].get("max_model_len")
    return window if isinstance(window, int) else None


def every_call_fails(fault: Exception) -> bool:
    """Whether a fault is not one of the call but of the server, the key, the model or the quota."""
    import openai

    if isinstance(fault, openai.APIStatusError):
        return fault.status_code in {401, 403, 404, 429}
    # A text that is not Unicode and a reply that takes too long are faults of their own call.
    return not isinstance(fault, (UnicodeError, openai.APITimeoutError))


def row_error(fault: Exception, redact: Redactor) -> str:
    """A fault as `reason: detail`."""
    import openai

    text = redact(str(fault))
    if isinstance(fault, openai.APIStatusError):
        if fault.status_code == 401:
            return "refused_key: 401, the server refuses the key"
        if fault.status_code == 400 and any(phrase in text.lower() for phrase in TOO_LONG):
            return f"context_overflow: {text}"
        return f"server_error: {fault.status_code} {text}"
    if isinstance(fault, openai.APIConnectionError):
        cause = redact(str(fault.__cause__ or fault))
        return f"unreachable: {cause}"
    if isinstance(fault, UnicodeError):
        return f"bad_text: the prompt is not Unicode text ({text})"
    if isinstance(fault, (ValueError, AttributeError, TypeError)):
        return "not_json: the server did not answer with a chat completion"
    return f"failed: {type(fault).__name__}: {text}"


def _unreachable(exc: Exception, redact: Redactor) -> ModelError:
    text = redact(str(exc)) or type(exc).__name__
    if "SSL" in text or "CERTIFICATE" in text.upper():
        fix = "install the server's certificate (SSL_CERT_FILE), or use its http address"
        return ModelError(f"TLS failure: {text}", fix=fix, key="server")
    fix = "start the server, or correct the address"
    return ModelError(f"the server cannot be reached: {text}", fix=fix, key="server")


def _refused_key(status: int) -> ModelError:
    fix = "set the variable that api_key names to a valid key"
    return ModelError(f"the server refuses the key ({status})", fix=fix, key="api_key")


def _not_json() -> ModelError:
    fix = "give the base address of an OpenAI-compatible server, such as http://127.0.0.1:8000/v1"
    return ModelError("the address answers with a web page, not with JSON", fix=fix, key="server")
