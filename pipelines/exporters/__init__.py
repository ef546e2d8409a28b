"""What a finished dataset looks like: one file a format, listed here."""

from pipelines.exporters.base import EXPORTERS, Exporter, Finished
from pipelines.exporters.hf_dataset import HfDataset
from pipelines.exporters.jsonl import Jsonl
from pipelines.exporters.placing import place

__all__ = ["EXPORTERS", "Exporter", "Finished", "HfDataset", "Jsonl", "place"]
