"""What can be wrong with a server, as one line with a fix, and never with the key in it."""

import http.client
import ssl
from dataclasses import dataclass
from typing import Any

from chains.calls import Reply
from chains.models.server_http import Connection
from chains.models.server_reply import Answer
from chains.models.server_request import reply_of
from chains.models.spec import ModelSpec
from prompts.errors import ModelError, nearest

SHOWN = 200
LOOK_UP_TIMEOUT = 10.0
LONGEST_WAIT = 120.0
"""Seconds of Retry-After that are waited; a server that asks for more has to be resumed later."""

TOO_LONG = ("context length", "context window", "context size", "maximum context", "too long")

_PASSING = {408, 409, 425, 429, 500, 502, 503, 504, 529}
_EVERY_CALL = {401, 402, 403, 404, 405, 429}


class Redactor:
    """Takes a key out of texts."""

    def __init__(self, key: str) -> None:
        self._key = key

    def __call__(self, text: str) -> str:
        """The first line of `text`, cut short, the key blacked out."""
        line = (text.strip().splitlines() or [""])[0]
        return (line.replace(self._key, "***") if len(self._key) > 4 else line)[:SHOWN]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a request was not answered.

    Attributes:
        text: `reason: detail`.
        lasting: Trying again is useless.
        fatal: It would happen to every call.
        busy: The server takes no more calls for now.
        wait: Seconds that the server asks to wait.
    """

    text: str
    lasting: bool = False
    fatal: bool = False
    busy: bool = False
    wait: float | None = None


def reply_or_fault(answer: Answer, redact: Redactor) -> Reply | Failure:
    """What a server's answer to a request says."""
    if answer.status != 200:
        return _status_fault(answer, redact)
    try:
        return reply_of(answer.json())
    except ValueError:
        text = "not_json: the server did not answer with a chat completion"
        return Failure(text, fatal=True)


def fault_of(exc: Exception, redact: Redactor) -> Failure:
    """What an exception on the way means."""
    text = redact(str(exc)) or type(exc).__name__
    if isinstance(exc, UnicodeError):
        return Failure(f"bad_text: the prompt is not Unicode text ({text})", lasting=True)
    if isinstance(exc, TimeoutError):
        return Failure(f"timeout: {text}")
    if isinstance(exc, http.client.IncompleteRead):
        return Failure("cut_short: the connection ended within the reply")
    if isinstance(exc, (OSError, http.client.HTTPException)):
        return Failure(f"unreachable: {text}", fatal=True)
    return Failure(f"failed: {type(exc).__name__}: {text}", lasting=True, fatal=True)


def stopping(fault: Failure) -> ModelError:
    """The error that ends a run."""
    return ModelError(
        f"the server fails: {fault.text}",
        fix="mend the server; 'textmill resume RUN' then goes on without paying a call twice",
    )


def _status_fault(answer: Answer, redact: Redactor) -> Failure:
    status, text = answer.status, redact(_message(answer))
    if status == 401:
        problem = "refused_key: 401, the server refuses the key"
        return Failure(problem, lasting=True, fatal=True)
    if status in {400, 413} and any(phrase in text.lower() for phrase in TOO_LONG):
        return Failure(f"context_overflow: {text}", lasting=True)
    asked = answer.wait or 0.0
    return Failure(
        f"server_error: {status} {text}" + (f" (wait {asked:.0f} s)" if asked else ""),
        lasting=status not in _PASSING or asked > LONGEST_WAIT,
        fatal=status in _EVERY_CALL,
        busy=status == 429 or (status == 503 and answer.wait is not None),
        wait=answer.wait,
    )


def _message(answer: Answer) -> str:
    """What a server says of its error: OpenAI's form, or the beginning of the body."""
    try:
        error = answer.json()["error"]
        return str(error["message"] if isinstance(error, dict) else error)
    except (ValueError, LookupError, TypeError):
        return answer.body[: 4 * SHOWN].decode("utf-8", "replace")


def look_up(base: str, spec: ModelSpec, key: str, redact: Redactor) -> int | None:
    """Ask an address which models are served; the model's window, where the server tells it.

    Raises:
        ModelError: The server cannot be reached, is not one of this protocol, refuses the key, or
            does not serve the model.
    """
    place = "server"
    if len(spec.addresses) > 1:
        place = f"server.{spec.addresses.index(base)}"
    try:
        answer = _models(base, key)
        served = _served(answer)
        if served is None and answer.status in {200, 404, 405}:
            _suggest_v1(base, key, place)
    except (OSError, ValueError, http.client.HTTPException) as exc:
        raise _unreachable(exc, redact, place) from exc
    if answer.status in {401, 403}:
        raise _refused_key(answer.status)
    if served is None and answer.status == 200:
        raise _not_json(place)
    if served is None:
        # Some servers have no list; a call will show whether they work.
        return None
    return _window(spec.model, served)


def _models(base: str, key: str) -> Answer:
    connection = Connection(base, key)
    try:
        return connection.send("GET", "/models", None, LOOK_UP_TIMEOUT)
    finally:
        connection.close()


def _served(answer: Answer) -> list[dict[str, Any]] | None:
    """The server's list of models, None where the answer is not one."""
    if answer.status != 200:
        return None
    try:
        entries = answer.json()["data"]
        return [entry for entry in entries if isinstance(entry["id"], str)]
    except (ValueError, KeyError, TypeError):
        return None


def _suggest_v1(base: str, key: str, place: str) -> None:
    base = base.rstrip("/")
    if not base.endswith("/v1") and _served(_models(f"{base}/v1", key)) is not None:
        problem = "the address has no OpenAI-compatible interface, and the one below it has"
        raise ModelError(problem, fix=f"write server: {base}/v1", key=place)


def _window(model: str, served: list[dict[str, Any]]) -> int | None:
    names = [entry["id"] for entry in served]
    if model not in names:
        if not names or model.startswith("/"):
            # `transformers serve` lists what it has downloaded, and loads a folder when asked.
            return None
        guess = nearest(model, names)
        listing = ", ".join(sorted(names)) or "none"
        fix = f"write '{guess}' (served: {listing})" if guess else f"use one of: {listing}"
        raise ModelError(f"the server does not know the model '{model}'", fix=fix, key="model")
    entry = served[names.index(model)]
    meta = entry.get("meta")  # of llama.cpp, where a call has its slot's part of the context
    told = [entry.get("max_model_len"), meta.get("n_ctx") if isinstance(meta, dict) else None]
    return next((window for window in told if isinstance(window, int)), None)


def _unreachable(exc: Exception, redact: Redactor, place: str) -> ModelError:
    text = redact(str(exc)) or type(exc).__name__
    if isinstance(exc, ssl.SSLError):
        fix = "install the server's certificate (SSL_CERT_FILE), or use its http address"
        return ModelError(f"TLS failure: {text}", fix=fix, key=place)
    fix = "start the server, or correct the address"
    return ModelError(f"the server cannot be reached: {text}", fix=fix, key=place)


def _refused_key(status: int) -> ModelError:
    fix = "set the variable that api_key names to a valid key"
    return ModelError(f"the server refuses the key ({status})", fix=fix, key="api_key")


def _not_json(place: str) -> ModelError:
    fix = "give the base address of an OpenAI-compatible server, such as http://127.0.0.1:8000/v1"
    return ModelError("the address answers with a web page, not with JSON", fix=fix, key=place)
