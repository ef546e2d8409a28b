"""Models with random weights, built in milliseconds, as folders in Hugging Face format."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

CORPUS = [
    "the cat sat on the mat and the dog ran after the cat",
    "a small model writes short sentences about rivers and rooms",
    "question: what is this? answer: it is a test.",
] * 4

SIZES: dict[str, Any] = {
    "vocab_size": 320,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 256,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
GROUPED = {**SIZES, "num_key_value_heads": 2, "head_dim": 8}

FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("Llama", GROUPED),
    "qwen2": ("Qwen2", GROUPED),
    "qwen3": ("Qwen3", GROUPED),
    "mistral": ("Mistral", {**GROUPED, "sliding_window": 24}),
    "gemma2": (
        "Gemma2",
        {
            **GROUPED,
            "sliding_window": 24,
            "attn_logit_softcapping": 2.0,
            "query_pre_attn_scalar": 1,
        },
    ),
    "gemma": ("Gemma", GROUPED),
    "gemma3": ("Gemma3Text", {**GROUPED, "sliding_window": 24, "query_pre_attn_scalar": 1}),
    "phi": ("Phi", SIZES),
    "phi3": ("Phi3", {**SIZES, "num_key_value_heads": 2}),
    "gpt_neox": ("GPTNeoX", SIZES),
    "gpt2": (
        "GPT2",
        {
            "vocab_size": 320,
            "n_embd": 32,
            "n_layer": 2,
            "n_head": 4,
            "n_positions": 256,
            "bos_token_id": 1,
            "eos_token_id": 2,
        },
    ),
    "bloom": ("Bloom", {"vocab_size": 320, "hidden_size": 32, "n_layer": 2, "n_head": 4}),
    "mamba": (
        "Mamba",
        {"vocab_size": 320, "hidden_size": 32, "state_size": 4, "num_hidden_layers": 2},
    ),
}


@cache
def tokenizer_json() -> str:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        show_progress=False,
        special_tokens=["<pad>", "<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer.to_str()


def tiny_tokenizer(**more: Any) -> Any:
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(tokenizer_json()),
        bos_token="<s>",
        eos_token="</s>",
        **more,
    )


def tiny_causal(family: str = "llama", *, seed: int = 0, **changes: Any) -> Any:
    """A causal model whose logits are far enough apart that rounding decides nothing."""
    name, sizes = FAMILIES[family]
    config = getattr(transformers, f"{name}Config")(**{**sizes, **changes})
    torch.manual_seed(seed)
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(6)
    return model


def save_causal(folder: Path, family: str = "llama", **changes: Any) -> Path:
    tiny_causal(family, **changes).save_pretrained(folder)
    tiny_tokenizer(pad_token="<pad>").save_pretrained(folder)
    return folder


def save_t5(folder: Path) -> Path:
    config = transformers.T5Config(
        vocab_size=320,
        d_model=32,
        d_kv=8,
        d_ff=48,
        num_layers=2,
        num_heads=4,
        pad_token_id=0,
        eos_token_id=2,
        decoder_start_token_id=0,
    )
    torch.manual_seed(0)
    model = transformers.T5ForConditionalGeneration(config).eval()
    with torch.no_grad():
        model.shared.weight.mul_(0.5)
    model.save_pretrained(folder)
    tiny_tokenizer(pad_token="<pad>").save_pretrained(folder)
    return folder


def edit_json(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


CLASSIFIERS: dict[str, tuple[str, dict[str, Any]]] = {
    "bert": ("Bert", {k: v for k, v in SIZES.items() if "bos" not in k and "eos" not in k}),
    "roberta": ("Roberta", {**SIZES, "max_position_embeddings": 258, "type_vocab_size": 1}),
    "deberta-v2": (
        "DebertaV2",
        {**SIZES, "relative_attention": True, "pos_att_type": ["p2c", "c2p"], "type_vocab_size": 0},
    ),
    "xlnet": (
        "XLNet",
        {"vocab_size": 320, "d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 48,
         "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2},
    ),
    "llama": ("Llama", GROUPED),
}  # fmt: skip


def save_classifier(folder: Path, family: str, labels: tuple[str, ...], **changes: Any) -> Path:
    """A sequence classifier with weights far enough apart that its labels differ."""
    name, sizes = CLASSIFIERS[family]
    named = {"id2label": dict(enumerate(labels)), "num_labels": len(labels)}
    config = getattr(transformers, f"{name}Config")(**{**sizes, **named, **changes})
    torch.manual_seed(0)
    model = transformers.AutoModelForSequenceClassification.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(4)
    model.save_pretrained(folder)
    tiny_tokenizer(
        pad_token="<pad>",
        model_max_length=10**9,
        padding_side="left" if name == "XLNet" else "right",
    ).save_pretrained(folder)
    return folder


def save_encoder(folder: Path) -> Path:
    """A BERT without a head, whose sentence vectors are means."""
    name, sizes = CLASSIFIERS["bert"]
    torch.manual_seed(0)
    getattr(transformers, f"{name}Model")(
        getattr(transformers, f"{name}Config")(**sizes)
    ).save_pretrained(folder)
    tiny_tokenizer(pad_token="<pad>").save_pretrained(folder)
    return folder
