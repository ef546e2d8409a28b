"""Contrastive search against plain forward passes, one for every candidate."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from table_engine import TableEngine, decode, letters, random_table
from tiny_models import save_t5, tiny_causal

from chains.decoding import Contrastive, Greedy
from chains.decoding.search import Request, Vocabulary
from chains.engine.choice import choose_engine
from chains.engine.plain import PlainEngine, TextToTextEngine

STEPS = 12
VOCABULARY = Vocabulary(decode=lambda tokens: " ".join(map(str, tokens)), ends=frozenset([2]))


def reference(read: Any, settings: Contrastive, prompt: list[int]) -> tuple[int, ...]:
    """What comes out where `read(tokens)` gives the states of all tokens and the next logits."""
    tokens: list[int] = []
    for _ in range(settings.max_tokens):
        states, logits = read([*prompt, *tokens])
        best = logits.softmax(-1).topk(settings.top_k)
        values = []
        for probability, token in zip(best.values, best.indices, strict=True):
            own = read([*prompt, *tokens, int(token)])[0][-1]
            alike = torch.cosine_similarity(own[None], states, dim=-1).max()
            alpha = settings.penalty_alpha
            values.append(float((1 - alpha) * probability - alpha * alike))
        tokens.append(int(best.indices[values.index(max(values))]))
        if tokens[-1] in VOCABULARY.ends:
            break
    return tuple(tokens)


def causal_reader(model: Any) -> Any:
    def read(tokens: Any) -> Any:
        with torch.inference_mode():
            output = model(torch.tensor([tokens]), output_hidden_states=True, use_cache=False)
        return output.hidden_states[-1][0], output.logits[0, -1]

    return read


@pytest.mark.parametrize("engine", ["plain", "fast"])
@pytest.mark.parametrize(
    ("family", "top_k", "alpha"), [("llama", 4, 0.6), ("gpt2", 3, 0.3), ("llama", 8, 0.9)]
)
def test_it_equals_a_reference(family: str, top_k: int, alpha: float, engine: str) -> None:
    model, twin = (tiny_causal(family, seed=2) for _ in range(2))
    with torch.no_grad():  # nearer to each other, so that the likeness of states matters
        for each in (model, twin):
            each.get_output_embeddings().weight.mul_(0.3)
    settings = Contrastive(max_tokens=STEPS, top_k=top_k, penalty_alpha=alpha)
    generator = torch.Generator().manual_seed(5)
    prompts = [torch.randint(3, 320, (9,), generator=generator).tolist() for _ in range(4)]
    expected = [reference(causal_reader(twin), settings, prompt) for prompt in prompts]
    tasks = [(settings, Request(tuple(prompt), 0, STEPS, rows=top_k)) for prompt in prompts]
    decoder = PlainEngine(model) if engine == "plain" else choose_engine(model)
    found = decode(decoder, tasks, VOCABULARY)
    assert [each[0].tokens for each in found] == expected
    greedy = [(Greedy(max_tokens=STEPS), request) for _, request in tasks]
    assert [each[0].tokens for each in decode(decoder, greedy, VOCABULARY)] != expected


def test_it_equals_a_reference_in_a_text_to_text_model(tmp_path: Path) -> None:
    model: Any = transformers.T5ForConditionalGeneration.from_pretrained(save_t5(tmp_path)).eval()
    source = torch.tensor([[5, 9, 40, 77, 2]])

    def read(tokens: Any) -> Any:
        with torch.inference_mode():
            output = model(
                input_ids=source,
                attention_mask=torch.ones_like(source),
                decoder_input_ids=torch.tensor([tokens]),
                output_hidden_states=True,
            )
        return output.decoder_hidden_states[-1][0], output.logits[0, -1]

    settings = Contrastive(max_tokens=STEPS, top_k=5, penalty_alpha=0.5)
    expected = reference(read, settings, [0])
    engine = TextToTextEngine(model, 0, None)
    request = Request(tuple(source[0].tolist()), 0, STEPS)
    (found,) = decode(engine, [(settings, request)], VOCABULARY)
    assert found[0].tokens == expected


def test_a_weight_of_nothing_is_greedy_search() -> None:
    engine = TableEngine(random_table(9, 3), states=random_table(4, 8))
    tasks = [
        (Contrastive(max_tokens=8, penalty_alpha=0.0), Request((9,), 0, 8)),
        (Greedy(max_tokens=8), Request((9,), 0, 8)),
    ]
    contrastive, greedy = decode(engine, tasks, letters())
    assert contrastive[0].tokens == greedy[0].tokens
    assert contrastive[0].logprob == pytest.approx(greedy[0].logprob, abs=1e-4)


def test_by_hand_the_likest_candidate_loses() -> None:
    """Token 1 is likeliest, but its state is the prompt's; later every state is known but 3's."""

    def table(text: Any) -> Any:
        return torch.tensor([1e-9, 0.5, 0.3, 0.2]).log().tolist()

    states = {9: [1.0, 0.0], 1: [1.0, 0.0], 2: [0.0, 1.0], 3: [-1.0, 0.0]}
    engine = TableEngine(table, states=lambda text: states[text[-1]])

    def text(alpha: float, top_k: int) -> str:
        settings = Contrastive(max_tokens=3, penalty_alpha=alpha, top_k=top_k)
        (found,) = decode(engine, [(settings, Request((9,), 0, 3))], letters())
        return str(found[0].text)

    # alpha 0.5: 1 has 0.25 - 0.5, 2 has 0.15 - 0, 3 has 0.1 + 0.5; then 3 is known, 2 at 0.15 - 0
    # beats 1 at 0.25 - 0.5 and 3 at 0.1 - 0.5; then all are alike and 1 is likeliest.
    assert text(0.5, top_k=3) == "cba"
    assert text(0.5, top_k=2) == "baa"
    assert text(0.05, top_k=3) == "aaa"


def test_only_searches_that_want_states_open_a_session_with_them() -> None:
    opened = []

    class Watched(TableEngine):
        def open(self, states: bool = False) -> Any:
            opened.append(states)
            return super().open(states)

    engine = Watched(random_table(9, 3), states=random_table(4, 8))
    request = Request((9,), 0, 4)
    decode(engine, [(Greedy(max_tokens=4), request)], letters())
    decode(engine, [(Greedy(), request), (Contrastive(max_tokens=4), request)], letters())
    assert opened == [False, True]
