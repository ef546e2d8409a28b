"""Scores of given texts: the model's own log-probabilities, whoever else is scored."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from pydantic import ValidationError
from tiny_models import save_causal, save_t5, tiny_causal

from chains.calls import Call, Message, Model, Reply
from chains.decoding import Greedy, Sample, Score
from chains.decoding.search import Request, Vocabulary
from chains.engine.attention_engine import AttentionEngine
from chains.engine.batches import decode_all
from chains.engine.plain import PlainEngine
from chains.engine.scoring import Pair
from chains.models import ModelSpec, open_model
from chains.models.scores import Scoring, score_all
from chains.models.scripted import ScriptedChat
from pipelines.ledger import call_key
from prompts.errors import ModelError

TARGET = "the cat sat on the mat"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_causal(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def tiny(folder: Path) -> Model:
    return open_model(ModelSpec(model=str(folder), dtype="float32"))


def call(prompt: str, **score: Any) -> Call:
    return Call((Message("user", prompt),), Score(**score))


def answers(model: Model, calls: Sequence[Call]) -> list[Reply]:
    found = {index: replies for part in model.answer(calls) for index, replies in part}
    assert all(len(replies) == 1 for replies in found.values())
    return [found[index][0] for index in range(len(calls))]


def tokens(count: int, seed: int) -> tuple[int, ...]:
    return tuple((seed + 7 * at * at) % 300 + 3 for at in range(count))


PAIRS = [
    Pair(tokens(5, 1), tokens(4, 2)),
    Pair(tokens(5, 1), tokens(7, 3)),
    Pair(tokens(64, 4), tokens(1, 5)),
    Pair(tokens(65, 4), tokens(3, 6), head=40),
    Pair(tokens(70, 4), tokens(3, 6), head=40),
    Pair(tokens(200, 7), tokens(90, 8), head=200),
    Pair(tokens(30, 9), ()),
    Pair(tokens(1, 10), tokens(300, 11)),
]


def expected(model: Any, prompt: Sequence[int], target: Sequence[int]) -> list[float]:
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([[*prompt, *target]])).logits[0].float()
    rows = logits.log_softmax(-1)[len(prompt) - 1 : -1]
    return [float(row[token]) for row, token in zip(rows, target, strict=True)]


@pytest.mark.parametrize("family", ["llama", "mistral", "gemma2", "gpt2", "bloom", "mamba"])
def test_scores_are_those_of_a_plain_forward_pass(family: str) -> None:
    longer = {"gpt2": {"n_positions": 512}}.get(family, {"max_position_embeddings": 512})
    model = tiny_causal(family, **({} if family in {"bloom", "mamba"} else longer))
    wanted = [expected(model, pair.prompt, pair.target) for pair in PAIRS]
    stock = family in {"bloom", "mamba"}
    found = (PlainEngine(model) if stock else AttentionEngine(model)).score(PAIRS)
    assert [len(each) for each in found] == [len(pair.target) for pair in PAIRS]
    for mine, its in zip(found, wanted, strict=True):
        assert mine == pytest.approx(its, abs=1e-4)


class Counting(AttentionEngine):
    """Counts the tokens of prompts that are held at once."""

    most = 0

    def segments_of(self, chains: Any, states: bool = False) -> Any:
        found = super().segments_of(chains, states)
        self.most = max(self.most, sum(segment.slots for segment in found.values()))
        return found


def test_many_prompts_are_scored_within_bounds_and_to_the_same_bit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = tiny_causal("llama", max_position_embeddings=512)
    pairs = [Pair(tokens(90 + at % 7, at // 2), tokens(3, at), head=40) for at in range(60)]
    at_once = Counting(model)
    wanted = at_once.score([*PAIRS, *pairs])
    monkeypatch.setattr("chains.engine.scoring.HELD", 512)
    bounded = Counting(model)
    assert bounded.score([*PAIRS, *pairs]) == wanted
    assert bounded.most <= 512 < at_once.most


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_neighbours_change_no_bit(dtype: torch.dtype) -> None:
    engine = AttentionEngine(tiny_causal(max_position_embeddings=512).to(dtype))
    alone = []
    for pair in PAIRS:
        engine.segments.clear()
        alone += engine.score([pair])
    assert engine.score(PAIRS) == alone
    assert engine.score(PAIRS[::-1])[::-1] == alone


def test_a_greedy_reply_has_the_score_of_its_tokens() -> None:
    engine = AttentionEngine(tiny_causal())
    vocabulary = Vocabulary(decode=str, ends=frozenset({2}))
    prompts = [tokens(count, count) for count in (3, 40, 70)]
    tasks = [(Greedy(max_tokens=30), Request(prompt, seed=0, room=30)) for prompt in prompts]
    found = dict(item for part in decode_all(engine, tasks, vocabulary, 16) for item in part)
    for index, prompt in enumerate(prompts):
        (generated,) = found[index]
        ((*logprobs,),) = engine.score([Pair(prompt, generated.tokens)])
        assert sum(logprobs) == pytest.approx(generated.logprob, abs=1e-3)


def test_a_score_is_a_reply_with_the_target_as_its_text(tiny: Model) -> None:
    prompts = [call("a small model", target=TARGET, end=end) for end in (True, False)]
    whole, without = answers(tiny, prompts)
    assert [(each.text, each.finish) for each in (whole, without)] == [(TARGET, "stop")] * 2
    assert whole.completion_tokens == without.completion_tokens + 1
    tokenizer = tiny.vocabulary.tokenizer  # type: ignore[attr-defined]
    prompt, target = tokenizer("a small model").input_ids, tokenizer(TARGET).input_ids
    assert (without.prompt_tokens, without.completion_tokens) == (len(prompt), len(target))
    plain = tiny_causal()
    assert without.logprob == pytest.approx(sum(expected(plain, prompt, target)), abs=1e-4)
    assert whole.logprob == pytest.approx(sum(expected(plain, prompt, [*target, 2])), abs=1e-4)


def test_scores_and_replies_are_answered_together(tiny: Model) -> None:
    sampled = Call((Message("user", "cat"),), Sample(max_tokens=5), seed=3)
    mixed = answers(tiny, [call("cat", target="dog"), sampled, call("cat", target="mat")])
    alone = [answers(tiny, [each])[0] for each in (call("cat", target="dog"), sampled)]
    assert mixed[:2] == alone
    assert mixed[2].text == "mat"


def test_what_looks_like_an_end_token_is_spelled_out(tiny: Model) -> None:
    (reply,) = answers(tiny, [call("cat", target="</s>", end=False)])
    assert reply.completion_tokens == 4
    assert reply.text == "</s>"


def test_a_target_beyond_the_window_fails_alone(tiny: Model) -> None:
    long, short = answers(tiny, [call("cat", target="a b " * 200), call("cat", target="dog")])
    assert long.error.startswith("context_overflow: prompt and target have ")
    assert long.error.endswith("the window holds 256")
    assert (short.finish, short.error) == ("stop", "")


def test_a_target_that_is_no_text_fails_alone(tiny: Model) -> None:
    (reply,) = answers(tiny, [call("cat", target="\ud800")])
    assert reply.error.startswith("bad_text: the target is not Unicode text")


def test_encoder_decoder_models_score_what_the_decoder_says(tmp_path: Path) -> None:
    folder = save_t5(tmp_path / "t5")
    model = open_model(ModelSpec(model=str(folder), dtype="float32"))
    found = answers(model, [call("the dog ran", target=TARGET), call("the cat", target="dog")])
    twin: Any = transformers.T5ForConditionalGeneration.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    for reply, source in zip(found, ["the dog ran", "the cat"], strict=True):
        labels = tokenizer(reply.text, return_tensors="pt", add_special_tokens=False).input_ids
        labels = torch.cat([labels, torch.tensor([[2]])], dim=1)
        with torch.inference_mode():
            logits = twin(**tokenizer(source, return_tensors="pt"), labels=labels).logits
        wanted = logits.log_softmax(-1).gather(-1, labels[..., None]).sum()
        assert reply.logprob == pytest.approx(float(wanted), abs=1e-4)
        assert reply.completion_tokens == labels.shape[1]


def test_marian_scores_its_own_translation_as_it_was_generated(test_data: Path) -> None:
    folder = test_data / "models/marian-multi30k-en-fr"
    model = open_model(ModelSpec(model=str(folder), dtype="float32"))
    greedy = Call((Message("user", "Two dogs play in the snow."),), Greedy(max_tokens=40))
    (reply,) = answers(model, [greedy])
    (score,) = answers(model, [call("Two dogs play in the snow.", target=reply.text)])
    assert score.completion_tokens == reply.completion_tokens
    assert score.logprob == pytest.approx(reply.logprob, abs=1e-3)


def test_a_trained_model_scores_its_own_story_as_it_was_generated(test_data: Path) -> None:
    model = open_model(ModelSpec(model=str(test_data / "models/stories260k"), dtype="float32"))
    for prompt in ("Once upon a time, there was", "The little dog"):
        (reply,) = answers(model, [Call((Message("user", prompt),), Greedy(max_tokens=24))])
        (score,) = answers(model, [call(prompt, target=reply.text, end=False)])
        assert score.completion_tokens == reply.completion_tokens
        assert score.logprob == pytest.approx(reply.logprob, abs=1e-3)


class BrittleEngine:
    """Scores a target with minus its tokens; a target with token 9 raises, one with 8 is NaN."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def score(self, pairs: Any) -> list[list[float]]:
        self.batches.append(len(pairs))
        if any(9 in pair.target for pair in pairs):
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: tried 9 bytes")
        return [[math.nan if token == 8 else -float(token) for token in p.target] for p in pairs]


def test_one_target_that_fails_leaves_the_others() -> None:
    engine = BrittleEngine()
    targets = [(1, 2), (9,), (3, 8), (1, 2)]
    wanted = [Scoring(at, f"t{at}", (5,), target) for at, target in enumerate(targets)]
    found = dict(item for part in score_all(engine, wanted) for item in part)  # type: ignore[arg-type]
    assert found[0] == [Reply("t0", "stop", 1, 2, -3.0)]
    assert found[1][0].error.startswith("out_of_memory: DefaultCPUAllocator")
    assert found[2][0].error == "nan_logits: the model gave no numbers at token 1"
    assert found[3] == [Reply("t3", "stop", 1, 2, -3.0)]
    assert engine.batches == [3, 1, 1, 1]  # equal targets are scored once


def test_the_key_holds_the_target_and_no_seed() -> None:
    one, other = call("cat", target="dog"), call("cat", target="mat")
    assert call_key("model", one) != call_key("model", other)
    assert call_key("model", one) != call_key("model", call("cat", target="dog", end=False))
    assert call_key("model", one) == call_key("model", Call(one.messages, one.decoding, seed=5))


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({"target": "", "end": False}, "nothing is left to score"),
        ({"target": "a", "n": 2}, "leave n out"),
        ({"target": "a", "stop": ("b",)}, "leave stop out"),
        ({"target": "a", "max_tokens": 9}, "leave max_tokens out"),
    ],
)
def test_settings_of_generation_are_refused(settings: dict[str, Any], found: str) -> None:
    with pytest.raises(ValidationError, match=found):
        Score(**settings)


def test_a_scripted_model_scores_by_counting() -> None:
    (reply,) = answers(ScriptedChat(), [call("cat", target="One two.")])
    assert reply == Reply("One two.", "stop", 1, 4, -8.0)


def test_a_server_says_that_it_cannot_score() -> None:
    from chains.models.server_request import settings_of

    with pytest.raises(ModelError, match="cannot decode with strategy 'score'"):
        settings_of(Score(target="a"))
