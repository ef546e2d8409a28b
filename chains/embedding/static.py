"""Static embeddings (model2vec): a text's vector is the mean of its tokens' vectors."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from tokenizers import Tokenizer

from chains.embedding.scripted import unit
from chains.models.files import ModelFiles
from prompts.errors import ModelError


class StaticEmbedder:
    """A table of token vectors.

    Args:
        files: A folder with tokenizer.json and the tensor `embeddings` [vocabulary, dimensions].
        fingerprint: As `chains.embedding.fingerprint` gives it.
    """

    def __init__(self, files: ModelFiles, fingerprint: str) -> None:
        self._fingerprint = fingerprint
        self._table = _table(files)
        try:
            self._tokenizer = Tokenizer.from_file(str(files.folder / "tokenizer.json"))
        except Exception as exc:
            fix = "copy or download the model again"
            raise ModelError(f"no usable tokenizer: {exc}", fix=fix, file=files.folder) from exc
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._unknown = self._tokenizer.token_to_id("[UNK]")

    @property
    def fingerprint(self) -> str:
        """Identifies the table and the tokenizer."""
        return self._fingerprint

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        return int(self._table.shape[1])

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit mean token vectors, float32 [len(texts), dimensions]; unknown tokens left out."""
        vectors = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for row, encoded in enumerate(
            self._tokenizer.encode_batch(texts, add_special_tokens=False)
        ):
            ids = [token for token in encoded.ids if token != self._unknown]
            if ids:
                vectors[row] = unit(self._table[ids].mean(axis=0, dtype=np.float32))
        return vectors


def _table(files: ModelFiles) -> NDArray[np.float32]:
    paths = sorted(files.folder.glob("*.safetensors"))
    try:
        with safe_open(paths[0], framework="numpy") as weights:
            table: NDArray[np.float32] = weights.get_tensor("embeddings").astype(np.float32)
    except SafetensorError as exc:
        fix = "name a model2vec folder"
        raise ModelError(f"no tensor 'embeddings': {exc}", fix=fix, file=paths[0]) from exc
    return table
