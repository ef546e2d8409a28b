"""The lab as a web page of this machine: prompts, models and settings side by side, and ratings.

It is served by the standard library alone: one page of a few files, JSON for what it asks and
server-sent events for what streams in. There is one user, so that a framework with its own
front end, its own dependencies and its own habit of asking the internet would weigh more than all
the rest.
"""
