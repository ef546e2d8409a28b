"""The decode loop against transformers' generate, and a row's bytes against its neighbours."""

import weakref
from typing import Any

import pytest
import torch
from table_engine import decode
from tiny_models import FAMILIES, tiny_causal

from chains.decoding import Beam, Greedy, Sample
from chains.decoding.search import Request, Vocabulary
from chains.engine import packing, rounding
from chains.engine.attention_engine import AttentionEngine
from chains.engine.batches import decode_all, plan
from chains.engine.choice import choose_engine
from chains.engine.packing import PackedLinear
from chains.engine.plain import PlainEngine

FAST = sorted(set(FAMILIES) - {"bloom", "mamba"})
NUMBERS = Vocabulary(decode=lambda tokens: " ".join(map(str, tokens)), ends=frozenset({2}))


def prompts(lengths: list[int], seed: int = 0) -> Any:
    generator = torch.Generator().manual_seed(seed)
    return [
        tuple(torch.randint(3, 320, (length,), generator=generator).tolist()) for length in lengths
    ]


def greedy_tokens(engine: Any, prompt_list: Any, room: int = 40, capacity: int = 16) -> Any:
    tasks = [(Greedy(max_tokens=room), Request(prompt, 0, room)) for prompt in prompt_list]
    found = {}
    for finished in decode_all(engine, tasks, NUMBERS, capacity):
        found.update({index: sequences[0].tokens for index, sequences in finished})
    return [found[index] for index in range(len(prompt_list))]


def generated(model: Any, prompt: Any, room: int, **settings: Any) -> Any:
    with torch.inference_mode():
        return model.generate(
            torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
            max_new_tokens=room,
            do_sample=False,
            eos_token_id=2,
            pad_token_id=0,
            **settings,
        )


def without_pad(tokens: Any) -> Any:
    return tuple(tokens[: tokens.index(2) + 1]) if 2 in tokens else tuple(tokens)


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_greedy_equals_generate_token_for_token(family: str) -> None:
    model, twin = tiny_causal(family), tiny_causal(family)
    engine = choose_engine(model)
    prompt_list = prompts([5, 30, 63, 64, 65, 120])
    expected = [
        without_pad(generated(twin, prompt, 40)[0, len(prompt) :].tolist())
        for prompt in prompt_list
    ]
    assert greedy_tokens(engine, prompt_list) == expected
    assert len(set(expected)) == len(expected)


def test_a_layer_is_let_go_of_before_the_next_one_is_packed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = tiny_causal("llama")
    layers = [weakref.ref(m) for m in model.modules() if isinstance(m, torch.nn.Linear)]
    left = []

    class Counting(PackedLinear):
        def __init__(self, linear: torch.nn.Linear) -> None:
            left.append(sum(layer() is not None for layer in layers))
            super().__init__(linear)

    monkeypatch.setattr(packing, "PackedLinear", Counting)
    packing.pack_linear_layers(model)
    assert left == list(range(len(layers), 0, -1))


def test_packed_layers_change_no_row_by_its_neighbours() -> None:
    model = tiny_causal("llama")
    engine = choose_engine(model)
    assert engine.name == "registered attention"
    assert not [layer for layer in model.modules() if isinstance(layer, torch.nn.Linear)]
    assert isinstance(model.lm_head, PackedLinear)
    asked = prompts([5, 30, 63, 64, 65, 120])
    with torch.inference_mode():
        alone = engine.open().admit([Request(asked[1], 0, 4)])
        among = engine.open().admit([Request(prompt, 0, 4) for prompt in 8 * asked])
    assert torch.equal(alone[0], among[1])


@pytest.mark.parametrize(("family", "name"), [*((f, "registered attention") for f in FAST)])
def test_families_with_an_attention_interface_take_the_fast_engine(family: str, name: str) -> None:
    assert choose_engine(tiny_causal(family)).name == name


def test_bfloat16_takes_the_fast_engine_on_every_processor() -> None:
    """Weights are packed only where the processor has instructions for them."""
    assert choose_engine(tiny_causal("llama").bfloat16()).name == "registered attention"


@pytest.mark.parametrize("family", ["bloom", "mamba"])
def test_other_families_keep_their_own_attention(family: str) -> None:
    assert choose_engine(tiny_causal(family)).name == "stock attention"


def test_a_model_that_the_fast_engine_gets_wrong_keeps_its_own_attention(
    caplog: pytest.LogCaptureFixture,
) -> None:
    model = tiny_causal("llama")
    forward = model.model.rotary_emb.forward
    # A model that ignores the positions it is given: rows would be rotated as if they stood alone.
    model.model.rotary_emb.forward = lambda x, position_ids: forward(
        x, torch.arange(x.shape[1])[None] + (7 if x.shape[1] == 1 else 0)
    )
    engine = choose_engine(model)
    assert engine.name == "stock attention"
    assert "does not fit LlamaForCausalLM" in caplog.text


@pytest.mark.parametrize("engine_class", [AttentionEngine, PlainEngine])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_row_is_the_same_whatever_is_decoded_beside_it(engine_class: Any, dtype: Any) -> None:
    engine = engine_class(tiny_causal("llama").to(dtype))
    lengths = [40, 12, 40, 64, 7, 40, 33, 40, 90, 40, 2, 40, 51]
    prompt_list = prompts(lengths)
    settings = [Greedy(max_tokens=30), Sample(max_tokens=25, top_p=0.9), Beam(max_tokens=9)]
    tasks = [
        (settings[index % 3], Request(prompt, 100 + index, settings[index % 3].max_tokens))
        for index, prompt in enumerate(prompt_list)
    ]
    alone = [decode(engine, [task], NUMBERS)[0] for task in tasks]
    for capacity in (3, 16):
        for order in (tasks, tasks[::-1]):
            found = {}
            for finished in decode_all(engine, order, NUMBERS, capacity):
                found.update(dict(finished))
            together = [found[index] for index in range(len(order))]
            assert (together if order is tasks else together[::-1]) == alone


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_long_row_is_the_same_beside_longer_ones(dtype: Any) -> None:
    """Kernels cut sums of hundreds of terms by how many there are, masked ones included."""
    heads = {"hidden_size": 128, "num_attention_heads": 2, "head_dim": 64}
    model = tiny_causal("llama", max_position_embeddings=1024, **heads).to(dtype)
    requests = [
        Request(prompt, 0, 3, cuts)
        for prompt in prompts([130, 170, 215, 265, 340, 600])
        for cuts in ((), (len(prompt) - 9,), (100, len(prompt) - 9))
    ]
    alone = [_logits(model, [request]) for request in requests]
    for several in (requests, requests[::3], requests[1::3], requests[2::3], requests[6:12]):
        expected = torch.cat([alone[requests.index(request)] for request in several], dim=1)
        assert torch.equal(_logits(model, several), expected)


def _logits(model: Any, requests: Any) -> torch.Tensor:
    """Of the first three tokens, [3, requests, vocabulary]."""
    session = AttentionEngine(model).open()
    with torch.inference_mode():
        first = session.admit(requests)
        return torch.stack([first, *(session.advance([7] * len(requests)) for _ in range(2))])


def _by_halves(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """A product whose sums are cut in the middle, wherever that is."""
    cut = left.shape[-1] // 2
    return left[..., :cut] @ right[..., :cut, :] + left[..., cut:] @ right[..., cut:, :]


class _ByPass(torch.nn.Linear):
    """A layer that rounds otherwise in a matrix of many rows."""

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        found = super().forward(states)
        return found if states.shape[-2] < 100 else found * (1 + 2**-20)


def test_kernels_that_round_a_row_by_its_neighbours_are_noticed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    model = tiny_causal("llama")
    packing.pack_linear_layers(model)
    assert rounding.rounds_alike(model)
    model.lm_head = _ByPass(32, 320)
    assert not rounding.rounds_alike(model)
    mixed = tiny_causal("llama").bfloat16()
    mixed.lm_head.float()
    assert rounding.rounds_alike(mixed)
    monkeypatch.setattr(rounding, "product", _by_halves)
    assert not rounding.rounds_alike(tiny_causal("llama"))
    assert choose_engine(tiny_causal("llama")).name == "stock attention"
    assert "a row's bits depend on its neighbours here" in caplog.text


def test_equal_prompts_are_read_once_and_give_what_they_give_alone() -> None:
    model = tiny_causal("llama")
    engine = AttentionEngine(model)
    (prompt,) = prompts([40])
    passes = []
    model.register_forward_pre_hook(
        lambda module, args, kwargs: passes.append(tuple(kwargs["input_ids"].shape)),
        with_kwargs=True,
    )
    tasks = [(Sample(max_tokens=9), Request(prompt, seed, 9)) for seed in range(6)]
    together = decode(engine, tasks, NUMBERS)
    assert passes[:2] == [(1, 48), (16, 1)]
    assert together == [decode(engine, [task], NUMBERS)[0] for task in tasks]


def test_long_prompts_beyond_a_chunk_of_queries_equal_generate() -> None:
    sizes = {"max_position_embeddings": 1024}
    engine = choose_engine(tiny_causal("mistral", **sizes))
    twin = tiny_causal("mistral", **sizes)
    prompt_list = prompts([300, 513])
    expected = [
        without_pad(generated(twin, prompt, 20)[0, len(prompt) :].tolist())
        for prompt in prompt_list
    ]
    assert greedy_tokens(engine, prompt_list, room=20) == expected


def test_a_prompt_may_fill_the_window() -> None:
    engine = choose_engine(tiny_causal("gpt2", n_positions=100))
    twin = tiny_causal("gpt2", n_positions=100)
    (prompt,) = prompts([90])
    expected = without_pad(generated(twin, prompt, 10)[0, 90:].tolist())
    assert greedy_tokens(engine, [prompt], room=10) == [expected]


def test_all_prompts_share_a_session_and_the_longest_enter_it_first() -> None:
    engine = AttentionEngine(tiny_causal("llama"))
    tasks = [(Greedy(), Request(prompt, 0, 8)) for prompt in prompts([10, 70, 20, 70])]
    assert plan(engine, tasks, 2) == [[1, 3, 2, 0]]


def test_waiting_prompts_take_the_places_of_finished_ones() -> None:
    model = tiny_causal("llama")
    engine = AttentionEngine(model)
    steps: list[int] = []
    model.register_forward_pre_hook(
        lambda module, args, kwargs: steps.append(tuple(kwargs["input_ids"].shape)),
        with_kwargs=True,
    )
    rooms = [2, 8, 2, 2, 2, 2]
    tasks = [
        (Sample(max_tokens=room, min_tokens=room), Request(prompt, seed, room))
        for seed, (prompt, room) in enumerate(
            zip(prompts([9] * 6), [2, 8, 2, 2, 2, 2], strict=True)
        )
    ]
    found = decode(engine, tasks, NUMBERS, capacity=2)
    assert [len(sequences[0].tokens) for sequences in found] == rooms
    # The long reply takes seven steps; in four of them a short one is taken a step further.
    assert steps.count((16, 1)) == 8


def test_memory_for_keys_and_values_bounds_the_rows() -> None:
    model = tiny_causal("llama")  # 2 layers x 2 heads x 8 numbers of 4 bytes, keys and values
    engine = AttentionEngine(model, memory=4 * 64 * 256)
    assert [engine.rows(tokens) for tokens in (10, 64, 65, 600)] == [4, 4, 2, 0]
    open_slots: list[int] = []
    model.register_forward_pre_hook(
        lambda module, args, kwargs: open_slots.append(
            kwargs["past_key_values"].__dict__.get("count", 0)
        ),
        with_kwargs=True,
    )
    tasks = [(Greedy(max_tokens=9), Request(prompt, 0, 9)) for prompt in prompts([12] * 9)]
    together = decode(engine, tasks, NUMBERS)
    assert max(open_slots) == 4
    assert together == [decode(engine, [task], NUMBERS)[0] for task in tasks]


def test_a_row_that_exceeds_the_memory_alone_is_refused_before_anything_is_allocated() -> None:
    engine = AttentionEngine(tiny_causal("llama"), memory=4 * 64 * 256)
    long, short = prompts([200, 20])
    tasks = [(Greedy(max_tokens=100), Request(long, 0, 100)), (Greedy(), Request(short, 0, 9))]
    [[refused], [kept]] = decode(engine, tasks, NUMBERS)
    assert (refused.finish, kept.finish) == ("error", "length")
    assert refused.error == (
        "out_of_memory: keys and values of 300 tokens take more than cache_gb allows"
    )


def test_plain_engine_shares_a_session_between_prompts_of_one_length_only() -> None:
    engine = PlainEngine(tiny_causal("bloom"))
    tasks = [(Greedy(), Request(prompt, 0, 8)) for prompt in prompts([10, 11, 10] + [9] * 17)]
    assert plan(engine, tasks, 64) == [[0, 2], [1], list(range(3, 19)), [19]]


def test_logprob_is_the_models_own_at_temperature_one() -> None:
    model, twin = tiny_causal("llama"), tiny_causal("llama")
    (prompt,) = prompts([20])
    task = (Sample(max_tokens=12, temperature=0.5, top_k=5), Request(prompt, 9, 12))
    (sequence,) = decode(AttentionEngine(model), [task], NUMBERS)[0]
    with torch.inference_mode():
        logits = twin(torch.tensor([[*prompt, *sequence.tokens]])).logits[0]
    logprobs = logits.log_softmax(-1)[len(prompt) - 1 : -1]
    expected = sum(float(row[token]) for row, token in zip(logprobs, sequence.tokens, strict=True))
    assert sequence.logprob == pytest.approx(expected, abs=1e-3)
