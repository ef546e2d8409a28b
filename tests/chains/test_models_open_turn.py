"""A user's turn that is left open: exactly what the template writes before the user's content."""

import pytest
from tiny_models import tiny_tokenizer

from chains.calls import Call, Message
from chains.decoding import Sample
from chains.models import open_model
from chains.models.spec import ModelSpec
from chains.models.template import PromptEncoder, PromptError

TURNS = "{% for m in messages %}<s>{{ m.role }}\n{{ m.content | trim }}</s>\n{% endfor %}"
ASKING = "{% if add_generation_prompt %}<s>assistant\n{% endif %}"
NO_SYSTEM = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}"


def encoder(template: str, end: str = "</s>") -> PromptEncoder:
    tokenizer = tiny_tokenizer(pad_token="<pad>")
    tokenizer.chat_template = template
    return PromptEncoder(tokenizer, ends=frozenset([tokenizer.convert_tokens_to_ids(end)]))


def test_the_text_ends_where_the_user_s_content_does() -> None:
    shown = encoder(TURNS + ASKING)
    system = Message("system", "You know rivers.")
    assert shown.render((Message("user_start", ""),)) == "<s>user\n"
    assert shown.render((system, Message("user_start", "Why"))) == (
        "<s>system\nYou know rivers.</s>\n<s>user\nWhy"
    )
    for content in ("Why is it wet?", "N"):
        whole = shown.render((system, Message("user", content)))
        opened = shown.render((system, Message("user_start", content[:1])))
        assert whole.startswith(opened)


def test_a_template_without_system_turns_has_the_system_message_in_the_open_one() -> None:
    shown = encoder(NO_SYSTEM + TURNS + ASKING)
    opened = shown.render((Message("system", "You know rivers."), Message("user_start", "Why")))
    assert opened == "<s>user\nYou know rivers.\n\nWhy"


def test_a_turn_that_no_end_token_ends_is_refused() -> None:
    shown = encoder("{% for m in messages %}[INST] {{ m.content }} [/INST]{% endfor %}")
    with pytest.raises(PromptError, match=r"chat_template: '\[/INST\]' ends a user's turn"):
        shown.encode((Message("user_start", ""),))


def test_the_open_turn_of_the_embedded_model_is_its_template_s_own_prefix() -> None:
    model = open_model(ModelSpec(model="embedded"))
    tokenizer = model.vocabulary.tokenizer
    content = "Zebras"
    whole = tokenizer.apply_chat_template([{"role": "user", "content": content}], tokenize=False)
    prefix = whole[: whole.index(content)]
    assert prefix.endswith("<|im_start|>user\n")
    assert model.prompts.render((Message("user_start", ""),)) == prefix
    ids = tuple(tokenizer(prefix, add_special_tokens=False)["input_ids"])
    assert model.encode((Message("user_start", ""),)) == ids
    call = Call((Message("user_start", ""),), Sample(top_p=0.9, max_tokens=60), 4)
    [(_, [reply])] = [pair for part in model.answer([call]) for pair in part]
    assert reply.prompt_tokens == len(ids)
    assert reply.text.strip()
    assert "<|im_" not in reply.text
