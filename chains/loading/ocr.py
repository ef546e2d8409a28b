r"""Pictures of text to text, where the extra `ocr` is installed.

    recognise = open_recognise()        # None without the extra
    recognise(png_bytes)                # "Invoice 2041\nDue on receipt"

RapidOCR's models (Chinese and English print) come inside its package, so nothing is downloaded.
"""

from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec

Recognise = Callable[[bytes], str]

HINT = "character recognition needs the extra ocr: pip install -e '.[ocr]'"


@lru_cache(maxsize=1)
def open_recognise() -> Recognise | None:
    """A function from the bytes of a picture to its text, line by line; None without the extra."""
    if find_spec("rapidocr_onnxruntime") is None:
        return None
    from rapidocr_onnxruntime import RapidOCR

    engine = RapidOCR(intra_op_num_threads=1, inter_op_num_threads=1)

    def recognise(picture: bytes) -> str:
        lines, _ = engine(picture)
        return "\n".join(text for _, text, _ in lines or ())

    return recognise
