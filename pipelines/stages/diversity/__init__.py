"""Stages that keep what is generated from being all about the same."""
