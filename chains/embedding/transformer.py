"""Sentence vectors from a BERT-like encoder: its last hidden states' mean, or the first one.

A batch always has 8 rows, filled with dummies, of texts whose token counts round up to the same
multiple of 16: the shapes are the text's own, so its vector is the same to the bit whatever is
encoded beside it.
"""

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from chains.embedding.files import read_settings
from chains.models.files import ModelFiles
from chains.models.hugging_face import load_model, load_tokenizer
from prompts.errors import ModelError

ROWS = 8
BLOCK = 16
LONGEST = 512


class TransformerEmbedder:
    """An encoder of transformers with its pooling.

    Args:
        files: A folder in Hugging Face format, with or without sentence-transformers' settings.
        fingerprint: As `chains.embedding.fingerprint` gives it.
    """

    def __init__(self, files: ModelFiles, fingerprint: str) -> None:
        self._fingerprint = fingerprint
        self._first_token = pools_first_token(files)
        self._model = load_model(files, task="encoder", dtype="float32", device="cpu")
        self._tokenizer = _fast_tokenizer(files, longest_of(files, self._model.config))
        self._lock = threading.Lock()

    @property
    def fingerprint(self) -> str:
        """Identifies weights, number type and engine."""
        return self._fingerprint

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        return int(self._model.config.hidden_size)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors, float32 [len(texts), dimensions].

        A text beyond the model's window is cut there.
        """
        places = {text: row for row, text in enumerate(dict.fromkeys(texts))}
        vectors = np.zeros((len(places), self.dimensions), dtype=np.float32)
        ids = [encoded.ids for encoded in self._tokenizer.encode_batch(list(places))]
        for batch in _batches(ids):
            vectors[batch] = self._forward([ids[row] for row in batch])
        return vectors[[places[text] for text in texts]]

    def _forward(self, ids: list[list[int]]) -> NDArray[np.float32]:
        width = _width(ids[0])
        filled = [*ids, *[ids[0]] * (ROWS - len(ids))]
        tokens = torch.zeros(ROWS, width, dtype=torch.long)
        mask = torch.zeros(ROWS, width, dtype=torch.long)
        for row, text in enumerate(filled):
            tokens[row, : len(text)] = torch.tensor(text)
            mask[row, : len(text)] = 1
        with self._lock, torch.inference_mode():
            states = self._model(input_ids=tokens, attention_mask=mask).last_hidden_state
            if self._first_token:
                pooled = states[:, 0]
            else:
                weights = mask[..., None].float()
                pooled = (states * weights).sum(1) / weights.sum(1)
            found: NDArray[np.float32] = torch.nn.functional.normalize(pooled, dim=-1).numpy()
        return found[: len(ids)]


def _width(ids: Sequence[int]) -> int:
    return -(-max(1, len(ids)) // BLOCK) * BLOCK


def _batches(ids: list[list[int]]) -> list[list[int]]:
    """Rows of each batch: equal widths together, in order."""
    by_width: dict[int, list[int]] = {}
    for row, text in enumerate(ids):
        by_width.setdefault(_width(text), []).append(row)
    return [
        rows[start : start + ROWS]
        for rows in by_width.values()
        for start in range(0, len(rows), ROWS)
    ]


def longest_of(files: ModelFiles, config: Any) -> int:
    """Tokens that a text may have: what its authors say, at most the positions, in whole blocks."""
    said = read_settings(files.folder, "sentence_bert_config.json").get("max_seq_length")
    positions = getattr(config, "max_position_embeddings", LONGEST)
    # RoBERTa keeps its first positions for the pads.
    if config.model_type in {"roberta", "xlm-roberta", "camembert", "mpnet"}:
        positions -= 2
    limit = min(said or LONGEST, positions, LONGEST)
    return max(BLOCK, limit // BLOCK * BLOCK)


def pools_first_token(files: ModelFiles) -> bool:
    """Whether a sentence vector is the first hidden state; else it is the mean of all.

    Raises:
        ModelError: Its files say that it is something else.
    """
    pooling = read_settings(files.folder / "1_Pooling", "config.json")
    chosen = [
        name for name, on in pooling.items() if name.startswith("pooling_mode_") and on is True
    ]
    known = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
    if not chosen:
        return False
    if len(chosen) > 1 or chosen[0] not in known:
        problem = f"its pooling ({', '.join(chosen)}) is neither the mean nor the first token"
        raise ModelError(problem, fix="take another embedder", file=files.folder)
    return known[chosen[0]]


def _fast_tokenizer(files: ModelFiles, longest: int) -> Any:
    tokenizer = load_tokenizer(files.folder)
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        problem = "its tokenizer has no fast version"
        raise ModelError(problem, fix="add a tokenizer.json to the folder", file=files.folder)
    backend.no_padding()
    backend.enable_truncation(longest)
    return backend
