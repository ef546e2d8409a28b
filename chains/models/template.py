r"""From a chat to the token ids of a prompt, by the tokenizer's own chat template or a plain one.

    prompts = PromptEncoder(tokenizer)
    prompts.encode((Message("user", "Name a colour."),))      # (1, 9690, 198, ...)

A base model such as GPT-2 has no chat template: the contents of the messages, a blank line
between them, are its prompt.

    prompts.render((Message("user_start", "Name"),))
    "<|im_start|>user\nName"

A last message of the role `user_start` is left open: the text ends where its content does, and the
model goes on with it (Magpie; Xu et al. 2024).
"""

import logging
import re
from collections.abc import Sequence
from typing import Any

from jinja2.exceptions import TemplateError

from chains.calls import Message

DOCUMENT = 128
"""Tokens from which on a document is worth being looked at apart from what stands behind it."""

_OPEN_END = "\u2042open-end\u2042"
"""Marks where the content of an open turn ends; three asterisks that no template writes."""

logger = logging.getLogger("textmill.models")


class PromptError(ValueError):
    """A chat that cannot be made into a prompt; `reason: detail`, as in `Reply.error`."""


class PromptEncoder:
    """Renders chats and encodes them.

    Args:
        tokenizer: Of transformers.
        name: The model's name, for the warning when it has no chat template.
        ends: Tokens that end a reply; an open turn has to end with one of them too.
    """

    def __init__(
        self, tokenizer: Any, name: str = "the model", ends: frozenset[int] = frozenset()
    ) -> None:
        self._tokenizer = tokenizer
        self._ends = ends
        self.has_template = bool(getattr(tokenizer, "chat_template", None))
        self._special = _special_tokens(tokenizer)
        self._line_ends = _line_ends(tokenizer)
        self._before: tuple[tuple[Message, ...], tuple[int, ...]] | None = None
        if not self.has_template:
            logger.warning("%s has no chat template: messages are joined by blank lines", name)

    def encode(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """Token ids of a chat, up to where the reply begins.

        Raises:
            PromptError: The template refuses it, it is empty, or it is not Unicode text.
        """
        text = self.render(messages)
        try:
            encoded = self._tokenizer(text, add_special_tokens=not self.has_template)
        except (TypeError, ValueError) as exc:
            raise PromptError(f"bad_text: the prompt is not Unicode text ({exc})") from exc
        ids = tuple(encoded["input_ids"])
        if not ids and self._tokenizer.bos_token_id is not None:
            ids = (self._tokenizer.bos_token_id,)
        if not ids:
            raise PromptError("empty_prompt: the prompt has no tokens")
        return ids

    def cuts(self, messages: Sequence[Message], prompt: Sequence[int]) -> tuple[int, int]:
        """How many tokens of `prompt`, these messages encoded, do not depend on the last one.

        The second number says where the last line of the last message begins: above it stand
        documents and instructions, which several prompts have in common, such as those of all
        questions about a passage. Where these are shorter than `DOCUMENT`, it is the first number.
        """
        before = tuple(messages[:-1])
        # Read once: another thread may put its own chat there meanwhile.
        kept = self._before
        if kept is None or kept[0] != before:
            kept = (before, self.encode([*before, messages[-1]._replace(content="")]))
            self._before = kept
        empty = kept[1]
        pairs = zip(prompt, empty, strict=False)
        head = next((at for at, (a, b) in enumerate(pairs) if a != b), len(empty))
        end = len(prompt) - (len(empty) - head)
        lines = (at for at in range(end - 2, head, -1) if prompt[at] in self._line_ends)
        document = next(lines, head - 1) + 1
        head = head if before else 0
        return head, document if document - head >= DOCUMENT else head

    def render(self, messages: Sequence[Message]) -> str:
        """The text of a chat, up to where the reply begins.

        Raises:
            PromptError: The template refuses it.
        """
        if not self.has_template:
            return "\n\n".join(message.content for message in messages)
        try:
            return self._apply(messages)
        except TemplateError as exc:
            if messages[0].role != "system" or len(messages) < 2:
                raise PromptError(f"chat_template: {exc}") from exc
        # Some templates (Gemma's) know no system turn; it then opens the first user turn.
        system, first, *rest = messages
        folded = Message(first.role, f"{system.content}\n\n{first.content}")
        try:
            return self._apply([folded, *rest])
        except TemplateError as exc:
            raise PromptError(f"chat_template: {exc}") from exc

    def _apply(self, messages: Sequence[Message]) -> str:
        chat = [{"role": turn.role, "content": self._defused(turn.content)} for turn in messages]
        if messages[-1].role == "user_start":
            return self._opened(chat)
        text: str = self._tokenizer.apply_chat_template(
            chat, tokenize=False, add_generation_prompt=True
        )
        return text

    def _opened(self, chat: list[dict[str, str]]) -> str:
        """The chat up to the end of its last content, which is a user's and stays open.

        Raises:
            PromptError: What ends the turn would not end a reply: the model would go on for ever.
        """
        last = {"role": "user", "content": chat[-1]["content"] + _OPEN_END}
        closed: str = self._tokenizer.apply_chat_template([*chat[:-1], last], tokenize=False)
        text, mark, end = closed.rpartition(_OPEN_END)
        if not mark:
            raise PromptError("chat_template: it leaves out the last message")
        first = self._tokenizer(end.lstrip(), add_special_tokens=False)["input_ids"][:1]
        if self._ends and not self._ends.issuperset(first or [-1]):
            shown = end.strip()[:40]
            raise PromptError(f"chat_template: '{shown}' ends a user's turn, and no reply")
        return text

    def _defused(self, content: str) -> str:
        """The content with a space in every special token, which could end its turn otherwise.

        A document may hold "<|im_end|>", by chance or by intent; only the template may write one.
        """
        if self._special is None:
            return content
        return self._special.sub(lambda found: f"{found[0][0]} {found[0][1:]}", content)


def _special_tokens(tokenizer: Any) -> re.Pattern[str] | None:
    added = getattr(tokenizer, "added_tokens_decoder", {}).values()
    names = {token.content for token in added if token.special} | set(tokenizer.all_special_tokens)
    longest_first = sorted((name for name in names if len(name) > 1), key=lambda name: -len(name))
    return re.compile("|".join(map(re.escape, longest_first))) if longest_first else None


def _line_ends(tokenizer: Any) -> frozenset[int]:
    """Tokens that hold a line break."""
    size = len(tokenizer)
    pieces = tokenizer.convert_ids_to_tokens(list(range(size)))
    marks = ("\n", "\u010a", "<0x0A>")  # as it is, in byte-level BPE, as a byte of SentencePiece
    return frozenset(
        at for at, piece in enumerate(pieces) if piece and any(mark in piece for mark in marks)
    )
