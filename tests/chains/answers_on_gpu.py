"""Writes what tiny models reply on a pretended GPU and on the CPU: `{case: [on it, not]}`.

python tests/chains/answers_on_gpu.py FOLDER       # FOLDER/answers.json
"""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from pretended_gpu import GPU, on_gpu
from tiny_models import save_causal, save_classifier, save_t5

from chains.calls import Call, Message, Model, Reply
from chains.decoding import STRATEGIES
from chains.decoding.grammar import guides_for
from chains.decoding.length import LengthGuide
from chains.models import ModelSpec, open_model
from prompts.file_format import Output

PASSAGE = "the dog ran after the cat and the cat sat on the mat. " * 3
PROMPTS = ["the cat sat", f"{PASSAGE}\nwhat is this?", f"{PASSAGE}\nwho sat?"]
SETTINGS: list[dict[str, Any]] = [
    {"strategy": "greedy"},
    {"strategy": "greedy", "repetition_penalty": 1.3, "no_repeat_ngram_size": 2},
    {"strategy": "greedy", "bad_words": ["cat"], "logit_bias": {"a": 3.0}, "min_tokens": 2},
    {"strategy": "sample", "temperature": 1.3, "top_p": 0.9, "n": 3},
    {"strategy": "sample", "top_k": 5, "frequency_penalty": 0.5, "presence_penalty": 0.5},
    {"strategy": "sample", "min_p": 0.02},
    {"strategy": "sample", "typical_p": 0.8},
    {"strategy": "sample", "eta": 0.001},
    {"strategy": "sample", "top_h": 0.5},
    {"strategy": "beam", "num_beams": 3, "n": 2, "no_repeat_ngram_size": 2},
    {"strategy": "beam_sample", "num_beams": 3, "repetition_penalty": 1.3},
    {"strategy": "beam_sample", "num_beams": 3, "top_p": 0.9},
    {"strategy": "diverse_beam", "num_beams": 4, "num_beam_groups": 2},
    {"strategy": "stochastic_beam", "num_beams": 3, "n": 3},
    {"strategy": "arithmetic", "n": 3},
    {"strategy": "contrastive", "top_k": 3},
]
OTHERS = ["bloom", "gemma2", "gpt2", "gpt_neox", "mistral", "phi3", "qwen3"]
"""Families beside Llama. Mamba and the encoders of BERT cannot be pretended (PyTorch 2.13)."""

LABELS = ("good", "bad", "neither")


def named(settings: dict[str, Any]) -> str:
    return " ".join(str(part) for pair in settings.items() for part in pair if part != "strategy")


def calls(settings: dict[str, Any], guides: Any = (), most: int = 4) -> list[Call]:
    decoding = STRATEGIES.build({"max_tokens": most, **settings})
    return [
        Call((Message("user", text),), decoding, seed, guides) for seed, text in enumerate(PROMPTS)
    ]


def cases(folder: Path) -> Iterator[tuple[str, Path, list[Call]]]:
    """Name, model and calls."""
    llama = save_causal(folder / "llama", vocab_size=4100)  # so many are read in blocks
    yield "llama, all strategies", llama, [call for each in SETTINGS for call in calls(each)]
    object_ = {"type": "object", "properties": {"size": {"type": "integer"}}, "required": ["size"]}
    held = {
        "json": Output(form="json", schema=object_),
        "choice": Output(form="choice", choices=("a cat", "a dog")),
        "regex": Output(form="regex", pattern="[ab]{3}"),
    }
    for name, output in held.items():
        for strategy in ("sample", "beam"):
            yield (
                f"{name}, {strategy}",
                llama,
                calls({"strategy": strategy}, guides_for(output), 16),
            )
    length = (LengthGuide(min=5, max=9, target=6),)
    yield "length", llama, calls({"strategy": "sample"}, length, 10)
    scores = [STRATEGIES.build({"strategy": "score", "target": text}) for text in PROMPTS]
    scoring = [Call((Message("user", PROMPTS[1]),), score, 0) for score in scores]
    yield "score", llama, scoring
    yield "bloom, score", save_causal(folder / "bloom", "bloom"), scoring
    for family in OTHERS:
        yield f"{family}, greedy", save_causal(folder / family, family), calls(SETTINGS[0])
    for settings in (SETTINGS[3], SETTINGS[9]):
        yield f"bloom, {named(settings)}", folder / "bloom", calls(settings)
    t5 = save_t5(folder / "t5")
    for settings in (SETTINGS[0], SETTINGS[3], SETTINGS[9]):
        yield f"t5, {named(settings)}", t5, calls(settings)
    yield "t5, score", t5, scoring
    for family in ("xlnet", "llama"):
        classifier = save_classifier(folder / f"{family}-labels", family, LABELS)
        targets = [STRATEGIES.build({"strategy": "score", "target": label}) for label in LABELS]
        asked = [Call((Message("user", text),), each, 0) for text in PROMPTS for each in targets]
        yield f"{family}, labels", classifier, asked


def answered(model: Model, asked: Sequence[Call]) -> list[list[Any]]:
    found: dict[int, list[Reply]] = {}
    for finished in model.answer(asked):
        found.update(finished)
    return [[[r.text, r.finish, r.error, r.logprob] for r in found[at]] for at in range(len(asked))]


def main(folder: Path) -> None:
    opened: dict[tuple[Path, bool], Model] = {}
    told: dict[str, Any] = {}

    def model_at(path: Path, there: bool) -> Model:
        if (path, there) not in opened:
            spec = ModelSpec(model=str(path), dtype="float32")
            opened[path, there] = open_model(spec)
        return opened[path, there]

    for name, path, asked in cases(folder):
        with on_gpu():
            model = model_at(path, there=True)
            there = answered(model, asked)
        told[name] = [there, answered(model_at(path, there=False), asked)]
    with on_gpu():
        try:
            torch.ones(3, device=GPU) + torch.ones(3)
        except RuntimeError as exc:
            told["a stray tensor"] = str(exc)
    (folder / "answers.json").write_text(json.dumps(told), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
