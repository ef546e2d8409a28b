"""One recipe from a laptop to a cluster: the commands, what they say, and whether the rows agree.

    python -m benchmarks.scaling              # a server, four shards, Ray
    python -m benchmarks.scaling --embedded   # the embedded model first

The recipe is `augment`. The server stands in for one with a model: it turns the caption that it is
asked to rewrite around by a rule, drawn with the call's seed, after 50 ms. What is shown is what
the commands print; where two runs have other rows, that is said at the end.
"""

import hashlib
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.chains.fake_server import Answer, completion, serving

REPOSITORY = Path(__file__).resolve().parents[1]
RECIPE = "pipelines/recipes/augment.yaml"
SHARDS = 4
FORMS = ("Here, {}.", "In this picture, {}.", "One can see that {}.", "In the photograph, {}.")


def turned(body: dict[str, Any]) -> Answer:
    """A reply: the sentence of the request in one of the forms."""
    time.sleep(0.05)
    found = re.search(r"Sentence: (.*?)\.?$", body["messages"][-1]["content"], re.MULTILINE)
    caption = "" if found is None else found[1]
    form = FORMS[int(body.get("seed", 0)) % len(FORMS)]
    reply = form.format(caption[:1].lower() + caption[1:])
    for stop in body.get("stop") or ():
        reply = reply.partition(stop)[0]
    return 200, completion(reply)


def commands(address: str, room: Path, *, embedded: bool) -> Iterator[tuple[str, list[str]]]:
    """The name of each run, and the words of the command that makes it."""
    out = ["--no-progress", "--out"]
    if embedded:
        yield "laptop", ["run", RECIPE, *out, str(room / "laptop")]
    model = f'models.writer={{server: "{address}", model: qwen3, batch: 64}}'
    run = ["run", RECIPE, "--set", model]
    yield "server", [*run, *out, str(room / "server")]
    parts = [str(room / "shards" / str(number)) for number in range(1, SHARDS + 1)]
    for number, part in enumerate(parts, start=1):
        yield "", [*run, "--shard", f"{number}/{SHARDS}", *out, part]
    yield "merged", ["merge", *parts, "--out", str(room / "merged")]
    ray = ["--engine", "ray", "--actors", "2", "--ledger", str(room / "ray.sqlite")]
    yield "ray", [*run, *ray, *out, str(room / "ray")]


def show(room: Path, words: list[str]) -> None:
    """Run a command, and print it and what it says, without the names of temporary folders."""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "run_pipeline.py", *words],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    quoted = (f"'{word}'" if " " in word else word for word in words if word != "--no-progress")
    print(f"$ textmill {' '.join(quoted)}".replace(f"{room}/", ""))
    print((done.stderr + done.stdout).replace(f"{room}/", "").rstrip())
    print(f"[{time.monotonic() - began:.1f} s]\n", flush=True)
    if done.returncode:
        sys.exit(f"exit code {done.returncode}")


def main() -> None:
    """Run all, and compare the rows of all that asked the server."""
    with tempfile.TemporaryDirectory() as folder, serving(keep_alive=True) as server:
        room, found = Path(folder), dict[str, str]()
        server.chat = turned
        asked = commands(f"{server.address}/v1", room, embedded="--embedded" in sys.argv)
        for name, words in asked:
            show(room, words)
            if name not in {"", "laptop"}:
                rows = (room / name / "rows.jsonl").read_bytes()
                found[name] = hashlib.sha256(rows).hexdigest()
        for name, sha in found.items():
            print(f"{sha}  {name}/rows.jsonl")
        requests = [json.dumps(request, sort_keys=True) for request in server.requests]
        print(f"{len(requests)} calls in all, {server.busy} at once at most")
        if len(set(found.values())) > 1:
            sys.exit("the rows differ")


if __name__ == "__main__":
    main()
