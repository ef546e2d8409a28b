"""Where seed rows come from: one file a source; this list is the catalogue."""

from pipelines.sources.arxiv import Arxiv
from pipelines.sources.attributes import AttributeRows
from pipelines.sources.base import SOURCES, BadSeed, Seed, Source, SourceView
from pipelines.sources.batch import Batch
from pipelines.sources.documents import Documents
from pipelines.sources.hf_dataset import HuggingFaceDataset
from pipelines.sources.loader import Loader
from pipelines.sources.records import Records
from pipelines.sources.sql import SqlRows
from pipelines.sources.stream import seeds
from pipelines.sources.topics import TopicRows
from pipelines.sources.web import WebPages
from pipelines.sources.wikipedia import Wikipedia

__all__ = [
    "SOURCES",
    "Arxiv",
    "AttributeRows",
    "BadSeed",
    "Batch",
    "Documents",
    "HuggingFaceDataset",
    "Loader",
    "Records",
    "Seed",
    "Source",
    "SourceView",
    "SqlRows",
    "TopicRows",
    "WebPages",
    "Wikipedia",
    "seeds",
]
