"""Low-rank adapters with TRL's supervised fine-tuning, and scores on held-out exchanges.

The loss is that of the replies alone. A tokenizer with a chat template sees a user's and an
assistant's turn, any other the prompt and the reply one behind the other. Training runs in float32;
the order of the exchanges and the first weights follow from the seed.
"""

import math
import tempfile
import warnings
from collections.abc import Sequence
from typing import Any

import torch
import transformers

from chains.models.files import inspect
from chains.models.hugging_face import load_model, load_tokenizer, quiet
from chains.models.locate import locate
from chains.models.machine import resolve_device
from chains.models.spec import ModelSpec
from chains.text.measuring import words
from chains.training.settings import Exchange, FineTuning, Outcome, Scores
from prompts.errors import UsageError

_IGNORED = -100  # the label of tokens that no loss is taken of


def fine_tune(
    spec: ModelSpec,
    train: Sequence[Exchange],
    test: Sequence[Exchange],
    settings: FineTuning,
    *,
    offline: bool = False,
) -> Outcome:
    """As `chains.training.fine_tune`."""
    if spec.server or spec.model == "scripted":
        raise UsageError("a model that is not here cannot be trained", fix="name a local model")
    if not train or not test:
        raise UsageError("nothing to train or to test on", fix="give exchanges of both")
    folder = locate(spec, offline=offline).folder()
    device = resolve_device(spec.device)
    model = load_model(inspect(folder), task="causal", dtype="float32", device=device)
    tokenizer = load_tokenizer(folder)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    before = _scores(model, tokenizer, test, settings)
    tuned = _trained(model, tokenizer, train, settings, device)
    return Outcome(before, _scores(tuned, tokenizer, test, settings))


def _trained(
    model: Any, tokenizer: Any, train: Sequence[Exchange], settings: FineTuning, device: str
) -> Any:
    """The model with trained adapters merged into its weights."""
    try:
        from datasets import Dataset
        from peft import LoraConfig
        from trl import SFTConfig, SFTTrainer
    except ImportError as exc:
        fix = "pip install 'textmill[train]'"
        raise UsageError(f"fine-tuning needs {exc.name}", fix=fix) from exc
    with (
        tempfile.TemporaryDirectory() as name,
        quiet(),
        warnings.catch_warnings(),
        torch.random.fork_rng(),  # peft and transformers draw from the global generator
    ):
        warnings.simplefilter("ignore")  # advice to users of the packages beneath
        transformers.set_seed(settings.seed)
        arguments = SFTConfig(
            output_dir=name,
            num_train_epochs=settings.epochs,
            per_device_train_batch_size=settings.batch,
            learning_rate=settings.learning_rate,
            max_length=settings.max_length,
            seed=settings.seed,
            completion_only_loss=True,
            gradient_checkpointing=False,
            bf16=False,
            use_cpu=device == "cpu",
            dataloader_pin_memory=False,
            report_to="none",
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
        )
        adapters = LoraConfig(
            r=settings.rank, lora_alpha=2 * settings.rank, target_modules="all-linear"
        )
        trainer = SFTTrainer(
            model=model,
            args=arguments,
            train_dataset=Dataset.from_list([_record(tokenizer, each) for each in train]),
            processing_class=tokenizer,
            peft_config=adapters,
        )
        trainer.train()
        return trainer.model.merge_and_unload().eval()


def _record(tokenizer: Any, exchange: Exchange) -> dict[str, Any]:
    """An exchange as TRL takes it."""
    if not tokenizer.chat_template:
        return {"prompt": exchange.prompt, "completion": exchange.completion}
    return {
        "prompt": [{"role": "user", "content": exchange.prompt}],
        "completion": [{"role": "assistant", "content": exchange.completion}],
    }


def _scores(model: Any, tokenizer: Any, test: Sequence[Exchange], settings: FineTuning) -> Scores:
    losses, tokens, matches = 0.0, 0, 0
    with torch.inference_mode():
        for exchange in test:
            prompt, whole = _tokens(tokenizer, exchange)
            whole = whole[: settings.max_length]
            if len(whole) > len(prompt):
                ids = torch.tensor([whole], device=model.device)
                labels = ids.clone()
                labels[0, : len(prompt)] = _IGNORED
                count = len(whole) - len(prompt)
                losses += float(model(input_ids=ids, labels=labels).loss) * count
                tokens += count
            reply = _reply(model, tokenizer, prompt, settings)
            matches += _plain(reply) == _plain(exchange.completion)
    perplexity = math.exp(losses / tokens) if tokens else math.nan
    return Scores(perplexity, matches / len(test))


def _tokens(tokenizer: Any, exchange: Exchange) -> tuple[list[int], list[int]]:
    """Ids of the prompt up to where the reply begins, and of prompt, reply and end."""
    if tokenizer.chat_template:
        turns = [{"role": "user", "content": exchange.prompt}]
        text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        prompt = tokenizer(text, add_special_tokens=False)["input_ids"]
    else:
        prompt = tokenizer(exchange.prompt)["input_ids"]
    reply = tokenizer(exchange.completion, add_special_tokens=False)["input_ids"]
    return prompt, [*prompt, *reply, tokenizer.eos_token_id]


def _reply(model: Any, tokenizer: Any, prompt: list[int], settings: FineTuning) -> str:
    """The greedy reply."""
    ids = torch.tensor([prompt], device=model.device)
    with quiet():
        found = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            max_new_tokens=settings.max_tokens,
            pad_token_id=tokenizer.pad_token_id,
        )
    return str(tokenizer.decode(found[0, len(prompt) :], skip_special_tokens=True))


def _plain(text: str) -> list[str]:
    return [word.strip(".,;:!?\"'()").lower() for word in words(text)]
