"""The language codes of translators that know many: NLLB, M2M100, mBART-50.

    forced_first(model, tokenizer, spec, folder)     # 256057: the code that begins every reply
    tokenizer("A cat.")["input_ids"]                 # [256047, ...]: it begins with eng_Latn

Which language such a model reads is a token of the prompt, and which one it writes the first token
of the reply (the forced BOS token of transformers). Codes are those of the model's tokenizer:
`eng_Latn` for NLLB, `en` for M2M100, `en_XX` for mBART-50.
"""

import re
from pathlib import Path
from typing import Any

from chains.models.spec import ModelSpec
from prompts.errors import ModelError, nearest

_CODE = re.compile(r"[a-z]{2,3}_[A-Za-z]{2,4}")

MANY = ("m2m_100", "nllb-moe")
"""Model types that write some language at random where none is asked for; NLLB's is the first."""


def forced_first(model: Any, tokenizer: Any, spec: ModelSpec, folder: Path) -> int | None:
    """The token that every reply begins with, if there is one; sets the tokenizer's languages.

    Raises:
        ModelError: The model wants languages and the job names none, or it has no such language.
    """
    if spec.src_lang:
        return _set_languages(tokenizer, spec, folder)
    own: int | None = model.generation_config.forced_bos_token_id
    if own is None and model.config.model_type in MANY:
        codes = ("en", "fr") if "en" in _codes(tokenizer) else ("eng_Latn", "fra_Latn")
        fix = f"say which in the job's 'models', such as src_lang: {codes[0]}, tgt_lang: {codes[1]}"
        problem = "it translates between many languages, and the job names none"
        raise ModelError(problem, fix=fix, file=folder)
    return own


def _set_languages(tokenizer: Any, spec: ModelSpec, folder: Path) -> int:
    known = _codes(tokenizer)
    if not known:
        fix = "leave src_lang and tgt_lang out; T5 needs a prefix instead, which the stages take"
        raise ModelError("its tokenizer knows no languages", fix=fix, file=folder)
    for key, code in (("src_lang", spec.src_lang), ("tgt_lang", spec.tgt_lang)):
        if code not in known:
            guess = nearest(code, known)
            fix = f"did you mean '{guess}'?" if guess else f"take one of {', '.join(known)}"
            raise ModelError(f"{key}: it has no language {code!r}", fix=fix, file=folder)
    tokenizer.src_lang, tokenizer.tgt_lang = spec.src_lang, spec.tgt_lang
    written = getattr(tokenizer, "get_lang_token", str)(spec.tgt_lang)  # M2M100 writes __fr__
    found: int = tokenizer.convert_tokens_to_ids(written)
    return found


def _codes(tokenizer: Any) -> list[str]:
    """The languages that the tokenizer has a token for."""
    if not hasattr(tokenizer, "src_lang"):
        return []
    own = getattr(tokenizer, "lang_code_to_id", None)
    if own is not None:
        return sorted(own)
    return sorted(token for token in tokenizer.added_tokens_encoder if _CODE.fullmatch(token))
