"""Classifiers: what transformers itself computes, whatever is classified beside it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tiny_models import CLASSIFIERS, edit_json, save_causal, save_classifier

from chains.calls import Call, Message, Reply
from chains.decoding import Greedy, Score
from chains.models import ModelSpec, fingerprint, head_labels, open_model
from prompts.errors import ModelError

LABELS = ("no", "maybe", "yes")
TEXTS = ["the cat", "a small model writes short sentences about rivers and rooms", "is it?",
         "the dog ran after the cat " * 7, "x"]  # fmt: skip


@pytest.fixture(scope="module", params=sorted(CLASSIFIERS))
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_classifier(tmp_path_factory.mktemp("models") / "head", request.param, LABELS)


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_classifier(tmp_path_factory.mktemp("models") / "bert", "bert", LABELS)


def spec(folder: Path, **more: Any) -> ModelSpec:
    return ModelSpec(model=str(folder), **{"dtype": "float32", **more})


def ask(label: str, *texts: str) -> Call:
    return Call(tuple(Message("user", text) for text in texts), Score(target=label, end=False))


def answers(model: Any, calls: Sequence[Call]) -> list[Reply]:
    found = {index: replies for part in model.answer(calls) for index, replies in part}
    return [found[index][0] for index in range(len(calls))]


def expected(folder: Path, *texts: str) -> torch.Tensor:
    twin: Any = transformers.AutoModelForSequenceClassification.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    with torch.inference_mode():
        logits: torch.Tensor = twin(**tokenizer(*texts, return_tensors="pt")).logits[0]
    return logits


def test_probabilities_are_those_of_the_model_itself(folder: Path) -> None:
    model = open_model(spec(folder))
    found = answers(model, [ask(label, text) for text in TEXTS for label in LABELS])
    for place, text in enumerate(TEXTS):
        mine = [reply.logprob for reply in found[3 * place : 3 * place + 3]]
        assert mine == pytest.approx(expected(folder, text).log_softmax(-1).tolist(), abs=1e-4)
    assert [reply.text for reply in found[:3]] == list(LABELS)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_neighbours_and_threads_change_no_bit(folder: Path, dtype: str) -> None:
    model = open_model(spec(folder, dtype=dtype))
    calls = [ask("yes", text) for text in [*TEXTS, *(f"room {n} of the cat" for n in range(9))]]
    alone = [answers(model, [call])[0] for call in calls]
    assert answers(model, calls) == alone
    assert answers(model, calls[::-1])[::-1] == alone
    threads = torch.get_num_threads()
    torch.set_num_threads(1 if threads > 1 else 2)
    try:
        assert answers(model, calls) == alone
    finally:
        torch.set_num_threads(threads)


def test_two_messages_are_a_pair(bert: Path) -> None:
    (reply,) = answers(open_model(spec(bert)), [ask("maybe", "the cat sat", "the dog ran")])
    wanted = expected(bert, "the cat sat", "the dog ran").log_softmax(-1)[1]
    assert reply.logprob == pytest.approx(float(wanted), abs=1e-4)


def test_any_other_decoding_gives_the_most_probable_label(bert: Path) -> None:
    model: Any = open_model(spec(bert))
    for text in TEXTS:
        (reply,) = answers(model, [Call((Message("user", text),), Greedy())])
        place = int(expected(bert, text).argmax())
        assert (reply.text, reply.finish) == (LABELS[place], "stop")
        assert model.invoke(text).content == LABELS[place]


def test_a_head_of_one_label_gives_its_value(tmp_path: Path) -> None:
    folder = save_classifier(tmp_path / "reward", "bert", ("reward",))
    (reply,) = answers(open_model(spec(folder)), [ask("anything", "the cat", "sat")])
    assert reply.score == pytest.approx(float(expected(folder, "the cat", "sat")[0]), abs=1e-4)
    assert (reply.text, reply.logprob) == ("reward", None)


def test_labels_that_may_hold_together_have_probabilities_of_their_own(tmp_path: Path) -> None:
    folder = save_classifier(
        tmp_path / "many", "bert", LABELS, problem_type="multi_label_classification"
    )
    found = answers(open_model(spec(folder)), [ask(label, "the cat") for label in LABELS])
    wanted = torch.nn.functional.logsigmoid(expected(folder, "the cat"))
    assert [reply.logprob for reply in found] == pytest.approx(wanted.tolist(), abs=1e-4)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (ask("perhaps", "the cat"), "unknown_label: the classifier has no label 'perhaps'"),
        (ask("yes", "the cat " * 300), "context_overflow: the text has"),
        (ask("yes", "\ud800"), "bad_text: the text is not Unicode text"),
        (ask("yes", "a", "b", "c"), "bad_pair: a classifier takes one text or two, not 3"),
        (ask("yes", ""), "empty_prompt: the text has no tokens"),
    ],
)
def test_a_text_that_cannot_be_classified_fails_alone(bert: Path, call: Call, error: str) -> None:
    refused, other = answers(open_model(spec(bert)), [call, ask("yes", "the dog")])
    assert (refused.finish, refused.error[: len(error)]) == ("error", error)
    assert other.finish == "stop"


def test_what_looks_like_a_special_token_is_spelled_out(bert: Path) -> None:
    (reply,) = answers(open_model(spec(bert)), [ask("yes", "</s>")])
    assert reply.prompt_tokens == 4


def test_a_smaller_window_is_kept_to(bert: Path) -> None:
    model = open_model(spec(bert, window=20))
    assert model.window == 20
    (reply,) = answers(model, [ask("yes", "the cat " * 20)])
    assert reply.error.endswith("the window holds 20")


def test_the_labels_are_told_without_loading(bert: Path, tmp_path: Path) -> None:
    assert head_labels(spec(bert)) == LABELS
    assert head_labels(ModelSpec(model="embedded")) is None
    assert head_labels(spec(save_causal(tmp_path / "writer"))) is None
    edit_json(bert / "config.json", label2id=None)
    two = save_classifier(tmp_path / "two", "bert", ("LABEL_0", "LABEL_1"))
    assert head_labels(spec(two)) == ("LABEL_0", "LABEL_1")


def test_it_says_what_it_is(bert: Path) -> None:
    model: Any = open_model(spec(bert))
    about = model.describe()
    assert (about["engine"], about["labels"]) == ("classifier", list(LABELS))
    assert model.fingerprint == fingerprint(spec(bert))
    assert model.count_tokens([Message("user", "the cat")]) == 2


def test_a_head_that_is_not_in_the_files_is_refused(tmp_path: Path) -> None:
    folder = save_causal(tmp_path / "headless")
    edit_json(folder / "config.json", architectures=["LlamaForSequenceClassification"])
    with pytest.raises(ModelError, match=r"lack 1 of the model's weights, such as score\.weight"):
        open_model(spec(folder))
