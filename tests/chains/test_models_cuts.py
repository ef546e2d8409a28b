"""Where prompts are cut: behind the worked examples, and behind a document in the last message."""

from tiny_models import tiny_tokenizer

from chains.calls import Message
from chains.models.template import DOCUMENT, PromptEncoder

TEMPLATE = "{% for m in messages %}<s>{{ m.role }}\n{{ m.content }}</s>\n{% endfor %}<s>assistant\n"


def encoder() -> PromptEncoder:
    tokenizer = tiny_tokenizer(pad_token="<pad>")
    tokenizer.chat_template = TEMPLATE
    return PromptEncoder(tokenizer)


def cut(before: list[Message], content: str) -> tuple[int, int, tuple[int, ...]]:
    encoded = encoder()
    messages = [*before, Message("user", content)]
    prompt = encoded.encode(messages)
    return *encoded.cuts(messages, prompt), prompt


def test_what_stands_before_the_last_message_is_cut_off() -> None:
    before = [Message("system", "You answer."), Message("user", "One?"), Message("assistant", "1")]
    head, document, prompt = cut(before, "Two?")
    other, _, again = cut(before, "How many?")
    assert (head, document) == (other, head)
    assert prompt[:head] == again[:head]
    assert prompt[head] != again[head]


def test_a_document_above_the_last_line_is_cut_off_too() -> None:
    passage = "the cat sat on the mat " * 40
    found = [cut([], f"{passage}\nQuestion: {question}") for question in ("why?", "who was it?")]
    (head, document, prompt), (_, other, again) = found
    assert head == 0
    assert document == other >= DOCUMENT
    assert prompt[:document] == again[:document]
    assert encoder()._tokenizer.decode(prompt[document:]).startswith("Question: why?")


def test_short_lines_and_single_lines_are_not_worth_a_cut() -> None:
    assert cut([], "one line\nanother")[:2] == (0, 0)
    assert cut([], "the cat sat on the mat " * 40)[:2] == (0, 0)
