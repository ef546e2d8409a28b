"""Stages that ask a model what a text is, or how good: labels, scores, ranks, entailment."""
