"""The engine: jobs, rows, stages, running, exporting. Imports no langchain, no torch."""
