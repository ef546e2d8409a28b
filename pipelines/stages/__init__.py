"""What happens to rows: one file a stage; this list is the catalogue."""

from pipelines.stages.augment.back_translate import BackTranslate
from pipelines.stages.augment.paraphrase import Paraphrase
from pipelines.stages.base import (
    STAGES,
    Ask,
    Context,
    Embed,
    Filter,
    JobView,
    Map,
    ModelStage,
    Stage,
    State,
    Work,
    drive,
)
from pipelines.stages.clean import Clean
from pipelines.stages.dedup import Dedup
from pipelines.stages.explode import Explode
from pipelines.stages.generate import Generate
from pipelines.stages.grounded import Grounded
from pipelines.stages.length import LengthFilter
from pipelines.stages.likelihood import Likelihood
from pipelines.stages.pattern import Pattern
from pipelines.stages.retrieve import Retrieve
from pipelines.stages.runnable import RunnableStage

__all__ = [
    "STAGES",
    "Ask",
    "BackTranslate",
    "Clean",
    "Context",
    "Dedup",
    "Embed",
    "Explode",
    "Filter",
    "Generate",
    "Grounded",
    "JobView",
    "LengthFilter",
    "Likelihood",
    "Map",
    "ModelStage",
    "Paraphrase",
    "Pattern",
    "Retrieve",
    "RunnableStage",
    "Stage",
    "State",
    "Work",
    "drive",
]
