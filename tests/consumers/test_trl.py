"""Every trainer of TRL takes one step on the format that it reads."""

from pathlib import Path
from typing import Any

import pytest
import transformers
from exported_rows import loaded
from tiny_models import SIZES, tiny_causal, tiny_tokenizer

trl = pytest.importorskip("trl")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

CHAT = (
    "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)
ASKED = {"prompt": "question"}
SFT: list[tuple[str, dict[str, str]]] = [
    ("text", {}),
    ("prompt-completion", {}),
    ("messages", {}),
    ("conversational-prompt-completion", {}),
]
PREFERENCES: list[tuple[str, dict[str, str]]] = [
    ("preference", ASKED),
    ("implicit-preference", {}),
    ("conversational-preference", ASKED),
]


def tokenizer() -> Any:
    return tiny_tokenizer(pad_token="<pad>", chat_template=CHAT)


def arguments(cls: Any, folder: Path, **more: Any) -> Any:
    return cls(
        output_dir=str(folder / "trained"),
        max_steps=1,
        per_device_train_batch_size=2,
        report_to="none",
        use_cpu=True,
        bf16=False,
        save_strategy="no",
        disable_tqdm=True,
        gradient_checkpointing=False,
        **more,
    )


def assert_steps(trainer: Any) -> None:
    trainer.train()
    assert trainer.state.global_step == 1


@pytest.mark.parametrize(("name", "columns"), SFT, ids=lambda value: str(value))
def test_sft(name: str, columns: dict[str, str], tmp_path: Path) -> None:
    data = loaded(tmp_path, format=name, columns=columns)
    args = arguments(trl.SFTConfig, tmp_path)
    assert_steps(
        trl.SFTTrainer(tiny_causal(), args=args, train_dataset=data, processing_class=tokenizer())
    )


@pytest.mark.parametrize(("name", "columns"), PREFERENCES, ids=lambda value: str(value))
def test_dpo(name: str, columns: dict[str, str], tmp_path: Path) -> None:
    data = loaded(tmp_path, format=name, columns=columns)
    args = arguments(trl.DPOConfig, tmp_path)
    assert_steps(
        trl.DPOTrainer(
            tiny_causal(),
            tiny_causal(),
            args=args,
            train_dataset=data,
            processing_class=tokenizer(),
        )
    )


@pytest.mark.parametrize(("name", "columns"), PREFERENCES, ids=lambda value: str(value))
def test_reward(name: str, columns: dict[str, str], tmp_path: Path) -> None:
    data = loaded(tmp_path, format=name, columns=columns)
    sizes = {**SIZES, "num_key_value_heads": 2, "num_labels": 1}
    config = transformers.LlamaConfig(**sizes)
    model = transformers.LlamaForSequenceClassification(config)
    args = arguments(trl.RewardConfig, tmp_path)
    assert_steps(
        trl.RewardTrainer(model, args=args, train_dataset=data, processing_class=tokenizer())
    )


def test_kto(tmp_path: Path) -> None:
    kto = pytest.importorskip("trl.experimental.kto") if not hasattr(trl, "KTOTrainer") else trl
    columns = {"prompt": "question", "completion": "answer", "label": "verdict"}
    data = loaded(tmp_path, format="unpaired-preference", columns=columns)
    args = arguments(kto.KTOConfig, tmp_path)
    assert_steps(
        kto.KTOTrainer(
            tiny_causal(),
            tiny_causal(),
            args=args,
            train_dataset=data,
            processing_class=tokenizer(),
        )
    )
