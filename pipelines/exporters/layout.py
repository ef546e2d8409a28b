"""Names of files and configs in a Hugging Face dataset folder.

shard("data", "train")   ->   data/train-00000-of-00001.parquet
"""

DATA = "data"
LINEAGE_CONFIG = "lineage"


def shard(folder: str, split: str) -> str:
    """Path of a split's one file, relative to the dataset folder."""
    return f"{folder}/{split}-00000-of-00001.parquet"
