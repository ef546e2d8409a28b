"""A tiny model takes one step on each format of sentence-transformers."""

from importlib import import_module
from pathlib import Path

import pytest
import transformers
from exported_rows import loaded
from tiny_models import tiny_tokenizer

st = pytest.importorskip("sentence_transformers", minversion="6")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.mark.parametrize(
    ("name", "columns", "loss"),
    [
        ("pairs", {}, "MultipleNegativesRankingLoss"),
        ("triplets", {}, "TripletLoss"),
        ("triplets", {}, "MultipleNegativesRankingLoss"),
        ("scored-pairs", {"sentence1": "question", "sentence2": "context"}, "CosineSimilarityLoss"),
        ("scored-pairs", {"sentence1": "question", "sentence2": "context"}, "CoSENTLoss"),
    ],
)
def test_one_step(name: str, columns: dict[str, str], loss: str, tmp_path: Path) -> None:
    config = transformers.BertConfig(
        vocab_size=320,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=1,
        num_attention_heads=4,
        max_position_embeddings=64,
    )
    transformers.BertModel(config).save_pretrained(tmp_path / "bert")
    tiny_tokenizer(pad_token="<pad>", model_max_length=64).save_pretrained(tmp_path / "bert")
    modules = import_module("sentence_transformers.sentence_transformer.modules")
    losses = import_module("sentence_transformers.sentence_transformer.losses")
    module = modules.Transformer(str(tmp_path / "bert"))
    pooling = modules.Pooling(32)
    model = st.SentenceTransformer(modules=[module, pooling], device="cpu")
    if name == "scored-pairs":
        columns = {**columns, "score": "score"}
    trainer = st.SentenceTransformerTrainer(
        model=model,
        args=st.SentenceTransformerTrainingArguments(
            output_dir=str(tmp_path / "trained"),
            max_steps=1,
            per_device_train_batch_size=4,
            report_to="none",
            use_cpu=True,
            save_strategy="no",
            disable_tqdm=True,
        ),
        train_dataset=loaded(tmp_path, format=name, columns=columns),
        loss=getattr(losses, loss)(model),
    )
    trainer.train()
    assert trainer.state.global_step == 1
