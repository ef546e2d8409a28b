"""Embedders: meaning, unit length, and vectors that depend on their own text alone."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from langchain_core.vectorstores import InMemoryVectorStore
from tiny_models import edit_json, tiny_tokenizer

from chains.embedding import Embedder, fingerprint, open_embedder
from chains.embedding.face import EmbedderFace
from prompts.errors import ModelError

TEXTS = [
    "A cat sleeps on the sofa.",
    "The cat is asleep on a couch.",
    "Stock prices fell sharply today.",
    "",
    "Ümläute, 世界 and 🧑‍🚀",
    "word " * 300,
]


@pytest.fixture(scope="module")
def embedded() -> Embedder:
    return open_embedder("embedded")


@pytest.fixture(scope="module")
def potion(test_data: Path) -> Embedder:
    return open_embedder(str(test_data / "models" / "potion-base-4m"))


@pytest.fixture(params=["embedded", "potion", "scripted"])
def embedder(request: pytest.FixtureRequest) -> Embedder:
    if request.param == "scripted":
        return open_embedder("scripted")
    found: Embedder = request.getfixturevalue(request.param)
    return found


def test_vectors_are_float32_of_length_one(embedder: Embedder) -> None:
    vectors = embedder.encode(TEXTS)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(TEXTS), embedder.dimensions)
    lengths = np.linalg.norm(vectors, axis=1)
    assert np.all((np.abs(lengths - 1) < 1e-5) | ((lengths == 0) & (np.array(TEXTS) == "")))
    assert embedder.encode([]).shape == (0, embedder.dimensions)


def test_a_text_has_the_same_bytes_whatever_is_beside_it(embedder: Embedder) -> None:
    alone = {text: embedder.encode([text])[0].tobytes() for text in TEXTS}
    fill = [f"{'filler ' * (n % 23)}number {n}" for n in range(40)]
    for company in (TEXTS, TEXTS[::-1], [*fill, *TEXTS], [*TEXTS, *TEXTS, *fill[:9]]):
        for text, vector in zip(company, embedder.encode(company), strict=True):
            assert text not in alone or vector.tobytes() == alone[text]


def test_fingerprints_are_known_without_loading(embedded: Embedder) -> None:
    assert embedded.fingerprint == fingerprint("embedded")
    assert open_embedder("scripted").fingerprint == fingerprint("scripted")
    assert fingerprint("embedded") != fingerprint("scripted")


def test_the_embedded_model_knows_what_means_the_same(embedded: Embedder) -> None:
    similarity = embedded.encode(TEXTS[:3]) @ embedded.encode(TEXTS[:3]).T
    assert embedded.dimensions == 384
    assert similarity[0, 1] > 0.8
    assert similarity[0, 2] < 0.2


def test_the_embedded_model_equals_its_reference(embedded: Embedder) -> None:
    from chains.models.embedded import EMBEDDER

    folder = EMBEDDER.path().parent
    model = transformers.AutoModel.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    for text in TEXTS[:3]:
        with torch.inference_mode():
            states = model(**tokenizer(text, return_tensors="pt")).last_hidden_state
        expected = torch.nn.functional.normalize(states.mean(1), dim=-1)[0].numpy()
        assert embedded.encode([text])[0] == pytest.approx(expected, abs=1e-5)


def test_static_vectors_know_what_means_the_same(potion: Embedder) -> None:
    similarity = potion.encode(TEXTS[:3]) @ potion.encode(TEXTS[:3]).T
    assert similarity[0, 1] > 0.7
    assert similarity[0, 2] < 0.2
    assert not potion.encode([""]).any()


def test_static_vectors_leave_unknown_tokens_out(potion: Embedder) -> None:
    known, mixed = potion.encode(["a cat", "a cat \ua66e\ua66e"])
    assert known.tobytes() == mixed.tobytes()


def test_scripted_vectors_lie_close_for_texts_that_look_alike() -> None:
    vectors = open_embedder("scripted").encode(["the red house", "the red houses", "quite other"])
    assert vectors[0] @ vectors[1] > 0.8
    assert vectors[0] @ vectors[2] < 0.5


@pytest.fixture
def bert(tmp_path: Path) -> Path:
    config = transformers.BertConfig(
        vocab_size=320,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=64,
    )
    torch.manual_seed(0)
    transformers.BertModel(config).save_pretrained(tmp_path / "bert")
    tiny_tokenizer(pad_token="<pad>").save_pretrained(tmp_path / "bert")
    return tmp_path / "bert"


def pool_by(folder: Path, mode: str) -> None:
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text("{}")
    edit_json(folder / "1_Pooling" / "config.json", **{f"pooling_mode_{mode}": True})


def test_a_folder_of_a_bert_is_an_embedder_by_its_own_pooling(bert: Path, tmp_path: Path) -> None:
    first = Path(shutil.copytree(bert, tmp_path / "first"))
    pool_by(first, "cls_token")
    mean = open_embedder(str(bert)).encode(TEXTS)
    by_first = open_embedder(str(first)).encode(TEXTS)
    assert mean.shape == by_first.shape == (len(TEXTS), 32)
    assert not np.allclose(mean, by_first)
    assert open_embedder(str(bert)).fingerprint == fingerprint(str(bert))
    assert fingerprint(str(bert)) != fingerprint(str(first))


def test_an_unknown_pooling_is_refused(bert: Path) -> None:
    pool_by(bert, "lasttoken")
    with pytest.raises(ModelError, match=r"its pooling \(pooling_mode_lasttoken\) is neither"):
        open_embedder(str(bert))


def test_an_embedder_that_is_not_there_is_named() -> None:
    with pytest.raises(ModelError, match="no such model folder"):
        open_embedder("./no/such/embedder")
    with pytest.raises(ModelError, match="is not on this machine"):
        open_embedder("owner/never-downloaded", offline=True)


def test_langchain_stores_take_the_embedder(embedded: Embedder) -> None:
    store = InMemoryVectorStore(EmbedderFace(embedded))
    store.add_texts(TEXTS[:3])
    assert store.similarity_search("a sleeping cat", k=2)[0].page_content in TEXTS[:2]
    assert store.similarity_search("the stock market", k=1)[0].page_content == TEXTS[2]
