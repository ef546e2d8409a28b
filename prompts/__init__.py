"""Prompt files: reading, checking and rendering them, and the library of them in `library/`.

from prompts.prompt import load_prompt

load_prompt("qa/question").render({"context": "The stove burns for 70 minutes."})
# [("system", "..."), ("user", "...")]
"""
