"""Where seed rows come from: one file a source; this list is the catalogue."""

from pipelines.sources.base import SOURCES, BadSeed, Seed, Source, SourceView
from pipelines.sources.batch import Batch
from pipelines.sources.documents import Documents
from pipelines.sources.hf_dataset import HuggingFaceDataset
from pipelines.sources.loader import Loader
from pipelines.sources.records import Records
from pipelines.sources.stream import seeds
from pipelines.sources.topics import TopicRows

__all__ = [
    "SOURCES",
    "BadSeed",
    "Batch",
    "Documents",
    "HuggingFaceDataset",
    "Loader",
    "Records",
    "Seed",
    "Source",
    "SourceView",
    "TopicRows",
    "seeds",
]
