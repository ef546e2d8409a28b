"""The batch engine beside `generate` of transformers and LangChain's pipeline, embedded model.

All ways answer the same prompts in one process, one after the other in every round, in the number
type that the engine takes on this processor; a figure is the median of the rounds' ratios. The
limit is the time that the matrix products alone would take at the rate which the model's own linear
layers reach at 48 rows, measured in the same round.
"""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
ROUNDS = 5
NEW = 96
ROWS = 48
TOPICS = "river house sea fox bird tree stone bread lamp road bridge garden winter clock"

_PEAK = """
from pathlib import Path
from benchmarks.decoding import Ways
ways = Ways(beside=False)
ways.engine(ways.sharing)
status = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
print(int(status["VmHWM"].split()[0]) / 1024)
"""


def measure() -> Iterator[tuple[str, str]]:
    """Ratios of five rounds, the peak memory of a process that decodes 48 rows, the overhead."""
    ways = Ways()
    rounds = [ways.round() for _ in range(ROUNDS)]
    for name, unit in FIGURES.items():
        values = [figures[name] for figures in rounds]
        spread = f"{min(values):.2f} to {max(values):.2f}"
        yield name, f"{statistics.median(values):.2f}{unit} ({spread})"
    peak = subprocess.run(
        [sys.executable, "-c", _PEAK], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    yield "peak resident memory, 48 rows", f"{float(peak.stdout):.0f} MiB"


FIGURES = {
    "48 prompts, 340 tokens shared: engine": " tokens/s",
    "48 prompts, 340 tokens shared: generate": " tokens/s",
    "48 prompts, 340 tokens shared: LangChain pipeline in a loop": " tokens/s",
    "engine / generate": "x",
    "engine / LangChain pipeline": "x",
    "engine / limit by matrix products": "",
    "rate of the linear layers at 48 rows": " GFLOP/s",
    "engine's own overhead": " of its time",
    "32 prompts of 40 to 190 tokens, nothing shared: engine / generate": "x",
    "32 prompts, nothing shared: engine / limit": "",
    "beam 4 on 16 prompts: engine / generate": "x",
    "beam 4 on 16 prompts: engine / limit": "",
}


class Ways:
    """The embedded model in every way of running it."""

    def __init__(self, *, beside: bool = True) -> None:
        from chains.models import ModelSpec, open_model

        self.model: Any = open_model(ModelSpec(model="embedded"))
        self.tokenizer = self.model.vocabulary.tokenizer
        head = self._ids("Old houses and rivers near the sea are what the fox writes about. " * 30)
        self.head = head[:338]
        self.sharing = [(*self.head, *self._ids(_task(n))) for n in range(ROWS)]
        self.apart = [self._ids(f"{n}. " + _task(n) * (1 + n % 5)) for n in range(32)]
        if beside:
            self._open_others()

    def _open_others(self) -> None:
        from langchain_community.llms.huggingface_pipeline import HuggingFacePipeline
        from transformers import AutoModelForCausalLM, pipeline

        from chains.models.locate import locate
        from chains.models.spec import ModelSpec

        folder = locate(ModelSpec(model="embedded")).folder()
        dtype = self.model.engine.model.dtype
        self.twin = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval()
        text = pipeline("text-generation", model=self.twin, tokenizer=self.tokenizer)
        chain = HuggingFacePipeline(pipeline=text, pipeline_kwargs=_sampling())
        self.chain = chain.bind(skip_prompt=True)

    def round(self) -> dict[str, float]:
        """Every way once, in turn."""
        sampled, shared = _timed(lambda: self.engine(self.sharing))
        reference, stock = _timed(lambda: self.generate(self.sharing, **_sampling()))
        looped, loop = _timed(lambda: self.loop(self.sharing[:3]))
        apart, alone = _timed(lambda: self.engine(self.apart, 0))
        stock_apart, stock_alone = _timed(lambda: self.generate(self.apart, **_sampling()))
        beams, beam = _timed(lambda: self.beams(self.apart[:16]))
        stock_beams, stock_beam = _timed(
            lambda: self.generate(self.apart[:16], num_beams=4, do_sample=False, max_new_tokens=48)
        )
        rate = self.rate()
        engine, generate = sampled / shared, reference / stock
        values = [engine, generate, looped / loop, engine / generate, engine / (looped / loop)]
        values += [self.work(self.sharing, sampled, len(self.head)) / rate / shared]
        values += [rate / 1e9, self.overhead()]
        values += [(apart / alone) / (stock_apart / stock_alone)]
        values += [self.work(self.apart, apart) / rate / alone]
        values += [(beams / beam) / (stock_beams / stock_beam)]
        values += [self.work(self.apart[:16], 4 * beams) / rate / beam]
        return dict(zip(FIGURES, values, strict=True))

    def engine(self, prompts: Sequence[tuple[int, ...]], shared: int = 338) -> int:
        """Tokens that the engine generates."""
        from chains.decoding import Sample

        return self._decode(prompts, Sample(temperature=0.8, top_p=0.95, max_tokens=NEW), shared)

    def beams(self, prompts: Sequence[tuple[int, ...]]) -> int:
        """Tokens of the best of four beams."""
        from chains.decoding import Beam

        return self._decode(prompts, Beam(num_beams=4, max_tokens=48), None)

    def generate(self, prompts: Sequence[tuple[int, ...]], **settings: Any) -> int:
        """Tokens that `generate` gives for one padded batch."""
        import torch

        width = max(map(len, prompts))
        ids = torch.zeros(len(prompts), width, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, prompt in enumerate(prompts):
            ids[row, width - len(prompt) :] = torch.tensor(prompt)
            mask[row, width - len(prompt) :] = 1
        ends = sorted(self.model.vocabulary.ends)
        with torch.inference_mode():
            found = self.twin.generate(
                ids, attention_mask=mask, eos_token_id=ends, pad_token_id=0, **settings
            )
        return sum(_length(row, ends) for row in found[:, width:].tolist())

    def loop(self, prompts: Sequence[tuple[int, ...]]) -> int:
        """Tokens of LangChain's pipeline, asked prompt by prompt."""
        texts = [self.chain.invoke(self.tokenizer.decode(prompt)) for prompt in prompts]
        return sum(len(self._ids(text)) + 1 for text in texts)

    def rate(self) -> float:
        """FLOP a second of the model's linear layers, one after the other, at 48 rows."""
        import torch

        layers = [m for m in self.twin.modules() if isinstance(m, torch.nn.Linear)]
        sizes = {m.in_features for m in layers}
        inputs = {size: torch.randn(ROWS, size, dtype=self.twin.dtype) for size in sizes}
        work = sum(2 * ROWS * m.in_features * m.out_features for m in layers)

        def step() -> int:
            with torch.inference_mode():
                for layer in layers:
                    layer(inputs[layer.in_features])
            return work

        step()
        return statistics.median(work / _timed(step)[1] for _ in range(15))

    def work(self, prompts: Sequence[tuple[int, ...]], tokens: int, shared: int = 0) -> float:
        """FLOP of all matrix products that so many tokens and the prompts take, attention too."""
        config = self.twin.config
        head = 2 * config.hidden_size * config.vocab_size
        body = 2 * sum(p.numel() for n, p in self.twin.named_parameters() if "proj" in n)
        own = sum(map(len, prompts)) - shared * len(prompts)
        before = shared + own / len(prompts)
        pair = 4 * config.num_hidden_layers * config.hidden_size
        seen = pair * (tokens * (before + NEW / 2) + own * shared)
        return tokens * (head + body) + (shared + own) * body + seen + len(prompts) * head

    def overhead(self) -> float:
        """Share of the time that is spent neither in the model nor in choosing tokens."""
        from chains.decoding.row_search import RowSearch
        from chains.engine.attention_engine import AttentionEngine

        spent = [0.0]
        restore = [
            _clocked(owner, name, spent)
            for owner, name in ((AttentionEngine, "forward"), (RowSearch, "advance"))
        ]
        try:
            _, total = _timed(lambda: self.engine(self.sharing))
        finally:
            for undo in restore:
                undo()
        return 1 - spent[0] / total

    def _decode(self, prompts: Sequence[tuple[int, ...]], settings: Any, shared: int | None) -> int:
        from chains.decoding.search import Request
        from chains.engine.batches import decode_all

        self.model.engine.segments.clear()
        tasks = [
            (settings, Request(prompt, seed, settings.max_tokens, cuts, settings.slots()))
            for seed, (prompt, cuts) in enumerate(
                (prompt, (len(prompt) if shared is None else shared,)) for prompt in prompts
            )
        ]
        batches = decode_all(self.model.engine, tasks, self.model.vocabulary, 64)
        return sum(len(found[0].tokens) for batch in batches for _, found in batch)

    def _ids(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer(text)["input_ids"])


def _task(number: int) -> str:
    topics = TOPICS.split()
    one, other = topics[number % len(topics)], topics[(number * 7 + 3) % len(topics)]
    return f" Tell a long story about the {one} and the {other} in town number {number}. Story:"


def _sampling() -> dict[str, Any]:
    return {
        "do_sample": True,
        "temperature": 0.8,
        "top_p": 0.95,
        "top_k": 0,
        "max_new_tokens": NEW,
    }


def _length(row: list[int], ends: Sequence[int]) -> int:
    """Tokens up to the first end token, that included."""
    return next((at + 1 for at, token in enumerate(row) if token in ends), len(row))


def _timed(run: Callable[[], int]) -> tuple[int, float]:
    start = time.perf_counter()
    result = run()
    return result, time.perf_counter() - start


def _clocked(owner: Any, name: str, spent: list[float]) -> Callable[[], None]:
    """Add the time that a method takes to `spent`; gives what takes the clock away again."""
    method = getattr(owner, name)

    def clocked(*args: Any, **kwargs: Any) -> Any:
        start = time.perf_counter()
        try:
            return method(*args, **kwargs)
        finally:
            spent[0] += time.perf_counter() - start

    setattr(owner, name, clocked)
    return lambda: setattr(owner, name, method)


if __name__ == "__main__":
    for figure in measure():
        print(json.dumps(figure))
