"""Names of files and configs in a Hugging Face dataset folder.

files_of("data", "train")   ->   data/train-*.parquet
"""

DATA = "data"
LINEAGE_CONFIG = "lineage"
IMAGES = "images"


def files_of(folder: str, split: str) -> str:
    """Pattern of a split's files, relative to the dataset folder."""
    return f"{folder}/{split}-*.parquet"
