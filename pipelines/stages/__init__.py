"""What happens to rows: one file a stage; this list is the catalogue."""

from pipelines.stages.augment.back_translate import BackTranslate
from pipelines.stages.augment.counterfactual import Counterfactual
from pipelines.stages.augment.eda import Eda
from pipelines.stages.augment.noise import Noise
from pipelines.stages.augment.paraphrase import Paraphrase
from pipelines.stages.augment.reconstruct import Reconstruct
from pipelines.stages.augment.resize import Compress, Expand
from pipelines.stages.augment.translate import Translate
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
from pipelines.stages.cite import Cite
from pipelines.stages.clean import Clean
from pipelines.stages.cover import Cover
from pipelines.stages.dedup.stage import Dedup
from pipelines.stages.diversity.evolve import Evolve
from pipelines.stages.diversity.instances import Instances
from pipelines.stages.diversity.magpie import Magpie
from pipelines.stages.diversity.self_instruct import SelfInstruct
from pipelines.stages.diversity.subtopics import Subtopics
from pipelines.stages.diversity.verbalised import Verbalised
from pipelines.stages.explode import Explode
from pipelines.stages.generate import Generate
from pipelines.stages.grounded import Grounded
from pipelines.stages.hard_negatives import HardNegatives
from pipelines.stages.heuristics.stage import Heuristics
from pipelines.stages.judging.classify import Classify
from pipelines.stages.judging.entailment import Entailment
from pipelines.stages.judging.judge import Judge
from pipelines.stages.judging.rank import Rank
from pipelines.stages.judging.relabel import Relabel
from pipelines.stages.judging.reward import Reward
from pipelines.stages.language import Language
from pipelines.stages.length import LengthFilter
from pipelines.stages.likelihood import Likelihood
from pipelines.stages.overlap.copying import Copying
from pipelines.stages.overlap.decontaminate import Decontaminate
from pipelines.stages.pattern import Pattern
from pipelines.stages.perplexity import Perplexity
from pipelines.stages.related import Related
from pipelines.stages.retrieve import Retrieve
from pipelines.stages.runnable import RunnableStage
from pipelines.stages.safety.balance import Balance
from pipelines.stages.safety.bias import Bias
from pipelines.stages.safety.claims import Claims
from pipelines.stages.safety.injection import Injection
from pipelines.stages.safety.pii import Pii
from pipelines.stages.safety.secrets import Secrets
from pipelines.stages.safety.swap_groups import SwapGroups
from pipelines.stages.safety.toxicity import Toxicity
from pipelines.stages.shapes.converse import Converse
from pipelines.stages.shapes.spans import Spans
from pipelines.stages.shapes.template import Template
from pipelines.stages.shapes.tool_calls import ToolCalls
from pipelines.stages.shapes.verify_answer import VerifyAnswer
from pipelines.stages.similarity import Similarity

__all__ = [
    "STAGES",
    "Ask",
    "BackTranslate",
    "Balance",
    "Bias",
    "Cite",
    "Claims",
    "Classify",
    "Clean",
    "Compress",
    "Context",
    "Converse",
    "Copying",
    "Counterfactual",
    "Cover",
    "Decontaminate",
    "Dedup",
    "Eda",
    "Embed",
    "Entailment",
    "Evolve",
    "Expand",
    "Explode",
    "Filter",
    "Generate",
    "Grounded",
    "HardNegatives",
    "Heuristics",
    "Injection",
    "Instances",
    "JobView",
    "Judge",
    "Language",
    "LengthFilter",
    "Likelihood",
    "Magpie",
    "Map",
    "ModelStage",
    "Noise",
    "Paraphrase",
    "Pattern",
    "Perplexity",
    "Pii",
    "Rank",
    "Reconstruct",
    "Relabel",
    "Related",
    "Retrieve",
    "Reward",
    "RunnableStage",
    "Secrets",
    "SelfInstruct",
    "Similarity",
    "Spans",
    "Stage",
    "State",
    "Subtopics",
    "SwapGroups",
    "Template",
    "ToolCalls",
    "Toxicity",
    "Translate",
    "Verbalised",
    "VerifyAnswer",
    "Work",
    "drive",
]
