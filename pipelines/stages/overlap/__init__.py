"""Stages that compare rows with texts of others: evaluation sets, sources, worked examples."""
