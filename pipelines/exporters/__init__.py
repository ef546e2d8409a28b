"""What a finished dataset looks like: one file a format, listed here."""

from pipelines.exporters.argilla import Argilla
from pipelines.exporters.axolotl import Axolotl
from pipelines.exporters.base import EXPORTERS, Exporter, Finished
from pipelines.exporters.batch import Batch
from pipelines.exporters.beir import Beir
from pipelines.exporters.csv_files import Csv
from pipelines.exporters.hf_dataset import HfDataset
from pipelines.exporters.jsonl import Jsonl
from pipelines.exporters.llama_factory import LlamaFactory
from pipelines.exporters.lm_eval import LmEval
from pipelines.exporters.parquet_files import Parquet
from pipelines.exporters.placing import place

__all__ = [
    "EXPORTERS",
    "Argilla",
    "Axolotl",
    "Batch",
    "Beir",
    "Csv",
    "Exporter",
    "Finished",
    "HfDataset",
    "Jsonl",
    "LlamaFactory",
    "LmEval",
    "Parquet",
    "place",
]
