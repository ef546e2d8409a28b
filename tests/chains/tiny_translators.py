"""Translators of many languages with random weights, as folders in Hugging Face format."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from tests.chains.tiny_models import CORPUS

CODES = {"nllb": ("eng_Latn", "fra_Latn"), "m2m": ("en", "fr"), "mbart": ("en_XX", "fr_XX")}


def nllb_tokenizer() -> Any:
    """NLLB's own tokenizer over a small vocabulary; its 202 languages come behind."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    trainer = trainers.BpeTrainer(vocab_size=90, show_progress=False, special_tokens=special)
    tokenizer.train_from_iterator(CORPUS, trainer)
    state = json.loads(tokenizer.to_str())["model"]
    merges = [tuple(pair) for pair in state["merges"]]
    return transformers.NllbTokenizer(vocab=state["vocab"], merges=merges)


def m2m_tokenizer(folder: Path) -> Any:
    """M2M100's, which is a sentencepiece model and a vocabulary beside it."""
    sentencepiece = pytest.importorskip("sentencepiece")
    text = folder / "corpus.txt"
    text.write_text("\n".join(CORPUS))
    sentencepiece.SentencePieceTrainer.Train(
        input=str(text), model_prefix=str(folder / "spm"), vocab_size=44, minloglevel=2
    )
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "spm.model"))
    own = [pieces.id_to_piece(at) for at in range(3, pieces.get_piece_size())]
    vocabulary = {piece: at for at, piece in enumerate(["<s>", "<pad>", "</s>", "<unk>", *own])}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    return transformers.M2M100Tokenizer(str(folder / "vocab.json"), str(folder / "spm.model"))


def mbart_tokenizer() -> Any:
    pieces = sorted({letter for text in CORPUS for letter in text} | {"▁"})
    vocabulary = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    return transformers.MBart50Tokenizer(vocab=vocabulary + [(piece, -3.0) for piece in pieces])


def save_translator(folder: Path, sort: str) -> Path:
    folder.mkdir()
    tokenizer = m2m_tokenizer(folder) if sort == "m2m" else (
        nllb_tokenizer() if sort == "nllb" else mbart_tokenizer()
    )  # fmt: skip
    torch.manual_seed(0)
    name = "MBart" if sort == "mbart" else "M2M100"
    config = getattr(transformers, f"{name}Config")(
        vocab_size=320,
        d_model=32,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=48,
        decoder_ffn_dim=48,
        max_position_embeddings=128,
        forced_eos_token_id=None,
        decoder_start_token_id=2,
        init_std=0.5,
    )
    model = getattr(transformers, f"{name}ForConditionalGeneration")(config)
    shown = [tokenizer.decode([at], skip_special_tokens=True).strip() for at in range(320)]
    odd = [at for at, text in enumerate(shown) if text in {"", "<unk>"} or text.startswith("__")]
    with torch.no_grad():  # or languages and unknown tokens would be most of what is written
        model.model.shared.weight[odd] *= 0.3
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
