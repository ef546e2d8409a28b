"""The batch engine: one decode loop for local models, and what it stands on.

choice.py picks an engine for a model, batches.py runs calls through it, loop.py takes the steps;
session.py keeps the rows, attention.py (with reading.py and step.py) computes what they attend to.
"""
