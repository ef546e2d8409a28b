"""Sequence classifiers of transformers (BERT, RoBERTa, DeBERTa, XLNet, BART, ...): text to label.

    model = open_model(ModelSpec(model="./sentiment"))
    model.labels                                                     # ("NEGATIVE", "POSITIVE")
    Call((Message("user", "A gem."),), Score(target="POSITIVE", end=False))
    Reply("POSITIVE", "stop", prompt_tokens=5, logprob=-0.02, score=3.9)

A score asks how probable a label is; any other decoding gives the most probable label, so that
`model.invoke("A gem.")` is "POSITIVE". The content of one message is the text, two are a pair
(premise and hypothesis, question and answer). A head of one label is a regression or a reward
model: its value is the reply's `score`, and its label is the reply whatever is asked.
"""

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from pydantic import Field, PrivateAttr

from chains.calls import Call, Message, Reply
from chains.decoding.plans import Plans, answer_by_one
from chains.decoding.score import Score
from chains.engine.batches import reason_of
from chains.engine.keys_values import up_to
from chains.engine.plain import one_thread
from chains.models.causal import ENDLESS, position_limit
from chains.models.chat import BatchChatModel
from chains.models.files import ModelFiles
from chains.models.heads import head_of
from chains.models.hugging_face import load_model, load_tokenizer
from chains.models.local import Identity
from chains.models.spec import ModelSpec
from chains.models.template import PromptEncoder, PromptError
from prompts.errors import ModelError

ROWS = 8
BLOCK = 16
"""A batch has 8 rows of texts whose token counts round up to the same multiple of 16: the shapes
are a text's own, so its logits are the same to the bit whatever is classified beside it."""

OFFSET = {"roberta", "xlm-roberta", "camembert", "mpnet", "xlm-roberta-xl"}
"""Architectures that keep their first two positions for pads."""

_ENDLESS_TEXT = 10**6  # tokenizers without a limit name a larger one


class LocalClassifier(BatchChatModel):
    """A model with a sequence-classification head.

    Attributes:
        network: Of transformers.
        tokenizer: Of transformers.
        labels: By their places in the logits.
        identity: What the model is.
        longest: Tokens that a text may have.
        independent: Whether several labels may hold at once: each has a probability of its own.
    """

    network: Any = Field(repr=False, exclude=True)
    tokenizer: Any = Field(repr=False, exclude=True)
    labels: tuple[str, ...]
    identity: Identity
    longest: int
    independent: bool = False

    _lock: threading.Lock = PrivateAttr(default_factory=threading.Lock)
    _prompts: PromptEncoder | None = PrivateAttr(default=None)

    def model_post_init(self, context: Any, /) -> None:
        """Reward models that were trained on chats are given chats."""
        super().model_post_init(context)
        if getattr(self.tokenizer, "chat_template", None):
            self._prompts = PromptEncoder(self.tokenizer, self.identity.name)

    @property
    def fingerprint(self) -> str:
        """Identifies all that decides a reply besides the call."""
        return self.identity.fingerprint

    @property
    def window(self) -> int:
        """Tokens that a text, or a pair of texts, may have."""
        return self.longest

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Length in tokens, special ones included; 0 where the messages cannot be encoded."""
        try:
            return len(self._encode(messages)["input_ids"])
        except PromptError:
            return 0

    def describe(self) -> dict[str, Any]:
        """For the manifest and the dataset card."""
        who = self.identity
        return {
            "model": who.name,
            "revision": who.revision,
            "license": who.license,
            "dtype": who.dtype,
            "device": who.device,
            "window": self.longest,
            "engine": "classifier",
            "labels": list(self.labels),
            "fingerprint": who.fingerprint,
        }

    def answer(self, calls: Sequence[Call]) -> Iterator[list[tuple[int, list[Reply]]]]:
        """Answer all calls, yielding what is finished after every batch as (index, replies).

        Raises:
            UsageError: The plan of a composite strategy asks for another model.
        """
        plans = Plans(calls)
        if plans.composite:
            yield from answer_by_one(plans, self.answer)
            return
        asked: dict[tuple[Message, ...], list[int]] = {}
        for index, call in enumerate(calls):
            asked.setdefault(call.messages, []).append(index)
        for batch in self._batches(list(asked)):
            finished = []
            for messages, found in self._classified(batch):
                indices = asked[messages]
                finished += [(i, self._replies(calls[i], found)) for i in indices]
            yield finished

    def _batches(self, texts: Sequence[tuple[Message, ...]]) -> "Iterator[list[_Text]]":
        """Texts of one width together, in order; those that cannot be encoded first."""
        refused: list[_Text] = []
        widths: dict[int, list[_Text]] = {}
        for messages in texts:
            try:
                encoded = self._encode(messages)
                count = len(encoded["input_ids"])
                if count > self.longest:
                    counts = f"the text has {count} tokens, the window holds {self.longest}"
                    raise PromptError(f"context_overflow: {counts}")
            except PromptError as exc:
                refused.append((messages, str(exc)))
                continue
            widths.setdefault(min(up_to(BLOCK, count), self.longest), []).append(
                (messages, encoded)
            )
        if refused:
            yield refused
        for _, rows in sorted(widths.items()):
            yield from (rows[start : start + ROWS] for start in range(0, len(rows), ROWS))

    def _classified(
        self, batch: "Sequence[_Text]"
    ) -> "Iterator[tuple[tuple[Message, ...], _Logits | str]]":
        """The logits of each text, or what went wrong with it."""
        rows = [encoded for _, encoded in batch if not isinstance(encoded, str)]
        try:
            logits = iter(self._forward(rows) if rows else [])
        except Exception as exc:
            logits = iter([reason_of(exc)] * len(rows))
        for messages, encoded in batch:
            if isinstance(encoded, str):
                yield messages, encoded
                continue
            found = next(logits)
            counted = found if isinstance(found, str) else (len(encoded["input_ids"]), found)
            yield messages, counted

    def _forward(self, rows: list[dict[str, list[int]]]) -> list[torch.Tensor | str]:
        """Float32 logits [labels] of each row."""
        width = min(up_to(BLOCK, max(len(row["input_ids"]) for row in rows)), self.longest)
        filled = [*rows, *[rows[0]] * (ROWS - len(rows))]
        columns = {name: [row[name] for row in filled] for name in filled[0]}
        with self._lock, torch.inference_mode(), one_thread(self.network):
            inputs = self.tokenizer.pad(
                columns, padding="max_length", max_length=width, return_tensors="pt"
            ).to(self.identity.device)
            logits = self.network(**inputs).logits.float().cpu()
        return [*logits[: len(rows)]]

    def _replies(self, call: Call, found: "_Logits | str") -> list[Reply]:
        if isinstance(found, str):
            return [Reply("", "error", error=found)] * call.decoding.n
        tokens, logits = found
        if not bool(logits.isfinite().all()):
            error = "nan_logits: the classifier gave no numbers"
            return [Reply("", "error", tokens, error=error)] * call.decoding.n
        label = call.decoding.target if isinstance(call.decoding, Score) else ""
        if len(self.labels) == 1:
            value = logits[0].item()
            return [Reply(self.labels[0], "stop", tokens, score=value)] * call.decoding.n
        if label and label not in self.labels:
            error = f"unknown_label: the classifier has no label '{label}'"
            return [Reply("", "error", tokens, error=error)] * call.decoding.n
        place = self.labels.index(label) if label else int(logits.argmax())
        log = torch.nn.functional.logsigmoid if self.independent else _log_softmax
        logprob = log(logits)[place].item()
        score = logits[place].item()
        reply = Reply(self.labels[place], "stop", tokens, logprob=logprob, score=score)
        return [reply] * call.decoding.n

    def _encode(self, messages: Sequence[Message]) -> dict[str, list[int]]:
        if self._prompts is not None:
            ids = list(self._prompts.encode(messages))
            return {"input_ids": ids, "attention_mask": [1] * len(ids)}
        texts = [message.content for message in messages]
        if len(texts) > 2:
            raise PromptError(f"bad_pair: a classifier takes one text or two, not {len(texts)}")
        try:
            # What looks like a special token in a text is spelled out in ordinary ones.
            encoded = self.tokenizer(*texts, split_special_tokens=True, verbose=False)
        except (TypeError, ValueError) as exc:
            raise PromptError(f"bad_text: the text is not Unicode text ({exc})") from exc
        if not encoded["input_ids"]:
            raise PromptError("empty_prompt: the text has no tokens")
        names = ("input_ids", "token_type_ids", "attention_mask")
        return {name: list(encoded[name]) for name in names if name in encoded}


_Text = tuple[tuple[Message, ...], dict[str, list[int]] | str]
"""What is classified, with its tokens, or why it has none."""

_Logits = tuple[int, torch.Tensor]
"""Tokens of a text, and its logits."""


def _log_softmax(logits: torch.Tensor) -> torch.Tensor:
    return logits.log_softmax(-1)


def open_classifier(files: ModelFiles, spec: ModelSpec, identity: Identity) -> LocalClassifier:
    """Load a model with a classification head.

    Raises:
        ModelError: It cannot be loaded, or its tokenizer has no token to pad with.
        ResourceError: It does not fit into memory.
    """
    network = load_model(files, task="classification", dtype=identity.dtype, device=identity.device)
    tokenizer = load_tokenizer(files.folder)
    if tokenizer.pad_token is None:
        if tokenizer.eos_token is None:
            problem = "its tokenizer has neither a pad token nor an end token"
            raise ModelError(problem, fix="add a pad_token to its files", file=files.folder)
        tokenizer.pad_token = tokenizer.eos_token
    network.config.pad_token_id = tokenizer.pad_token_id  # decoders look for the last real token
    own = _longest(network.config, tokenizer)
    return LocalClassifier(
        network=network,
        tokenizer=tokenizer,
        labels=head_of(files.config) or (),
        identity=identity,
        longest=own if spec.window is None else min(own, spec.window),
        independent=network.config.problem_type == "multi_label_classification",
    )


def _longest(config: Any, tokenizer: Any) -> int:
    positions = position_limit(config) or ENDLESS
    positions -= 2 if config.model_type in OFFSET else 0
    said = tokenizer.model_max_length
    return min(positions, said) if said < _ENDLESS_TEXT else positions
