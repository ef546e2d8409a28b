"""Fine-tuning a BERT-like encoder as a classifier, all its weights and a new linear layer on top.

The layer reads what the encoder's sentence vectors are made of: the mean of the last hidden states,
or the first one, as its files say. Training runs in float32 without dropout, so that no global
generator is drawn from: the layer's first weights and the order of the texts follow from the seed.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from chains.embedding.files import is_static, locate_embedder
from chains.embedding.transformer import longest_of, pools_first_token
from chains.models.files import ModelFiles
from chains.models.hugging_face import load_model, load_tokenizer
from chains.training.settings import Classifying
from prompts.errors import UsageError

_SPREAD = 0.02  # standard deviation of the new layer's first weights, as BERT's own
_LARGEST = 1.0  # norm of a step's gradients, above which they are scaled down


def classify(
    name: str,
    train: Sequence[tuple[str, str]],
    texts: Sequence[str],
    settings: Classifying,
    *,
    offline: bool = False,
) -> list[str]:
    """As `chains.training.classify`."""
    labels = sorted({label for _, label in train})
    if len(labels) < 2:
        raise UsageError("a classifier needs two labels", fix="give rows of two labels or more")
    if name == "scripted":
        raise UsageError("a scripted encoder has nothing to train", fix="name a BERT-like encoder")
    files = locate_embedder(name, offline=offline)
    if is_static(files):
        problem = f"'{name}' is a table of vectors (model2vec), not an encoder"
        raise UsageError(problem, fix="name a BERT-like encoder")
    with torch.random.fork_rng(devices=[]):  # layers are filled before their weights are known
        classifier = _Classifier(files, len(labels), settings)
    classifier.train([text for text, _ in train], [labels.index(label) for _, label in train])
    return [labels[number] for number in classifier.predict(texts)]


class _Classifier:
    """An encoder with a linear layer on its pooled states."""

    def __init__(self, files: ModelFiles, labels: int, settings: Classifying) -> None:
        self._settings = settings
        self._random = torch.Generator().manual_seed(settings.seed)
        self._first_token = pools_first_token(files)
        self._encoder = load_model(files, task="encoder", dtype="float32", device="cpu")
        self._tokenizer = load_tokenizer(files.folder)
        self._longest = min(settings.max_length, longest_of(files, self._encoder.config))
        width = int(self._encoder.config.hidden_size)
        self._layer = torch.nn.Linear(width, labels)
        with torch.no_grad():
            self._layer.weight.normal_(0, _SPREAD, generator=self._random)
            self._layer.bias.zero_()

    def train(self, texts: Sequence[str], labels: Sequence[int]) -> None:
        """Go through the texts in a new order each epoch; the rate rises, then falls linearly."""
        weights = [*self._encoder.parameters(), *self._layer.parameters()]
        rate = self._settings.learning_rate
        optimizer = torch.optim.AdamW(weights, lr=rate, weight_decay=0.01)
        batches = list(self._shuffled(len(texts)))
        warm = max(1, len(batches) // 10)
        for step, places in enumerate(batches):
            share = min((step + 1) / warm, (len(batches) - step) / max(1, len(batches) - warm))
            for group in optimizer.param_groups:
                group["lr"] = rate * share
            wanted = torch.tensor([labels[place] for place in places])
            scores = self._scores([texts[place] for place in places])
            optimizer.zero_grad()
            loss: Any = torch.nn.functional.cross_entropy(scores, wanted)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(weights, _LARGEST)
            optimizer.step()

    def predict(self, texts: Sequence[str]) -> list[int]:
        """The number of each text's most probable label."""
        size = self._settings.batch
        found: list[int] = []
        with torch.inference_mode():
            for start in range(0, len(texts), size):
                found += self._scores(texts[start : start + size]).argmax(1).tolist()
        return found

    def _shuffled(self, count: int) -> Iterator[list[int]]:
        for _ in range(self._settings.epochs):
            order: Any = torch.randperm(count, generator=self._random)
            yield from (part.tolist() for part in order.split(self._settings.batch))

    def _scores(self, texts: Sequence[str]) -> Any:
        ids, mask = self._tokens(texts)
        states = self._encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        if self._first_token:
            return self._layer(states[:, 0])
        parts = mask[..., None].to(states.dtype)
        return self._layer((states * parts).sum(1) / parts.sum(1))

    def _tokens(self, texts: Sequence[str]) -> tuple[Any, Any]:
        """Ids and mask, int64 [texts, tokens]; a text without any token has one pad."""
        known = self._tokenizer(list(texts), truncation=True, max_length=self._longest)
        width = max(1, *(len(ids) for ids in known["input_ids"]))
        ids = torch.full((len(texts), width), self._encoder.config.pad_token_id or 0)
        mask = torch.zeros_like(ids)
        mask[:, 0] = 1
        for row, own in enumerate(known["input_ids"]):
            ids[row, : len(own)] = torch.tensor(own, dtype=torch.long)
            mask[row, : len(own)] = 1
        return ids, mask
