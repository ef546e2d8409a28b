"""Stages that add variants of a text: one file each, listed in `pipelines.stages`."""
