"""Mistakes in prompts."""

from mistakes.cases import PROMPT, TEMPLATE, changed, from_job, from_prompt, from_words

PROMPT_FILES = {
    "missing": from_job(
        "job.yaml:13: stages.0.prompt: prompt './mine.yaml': no such file; fix: check the path",
        changed("prompt: ask", "prompt: ./mine.yaml"),
    ),
    "missing in the library": from_job(
        "job.yaml:13: stages.0.prompt: unknown prompt 'qa/questoin'; fix: write 'qa/question' ...",
        changed("prompt: ask", "prompt: qa/questoin"),
    ),
    "undefined variable": from_prompt(
        "./mine.yaml:3: messages.0.content: undefined variable 'topik'; "
        "fix: write 'topic' (declared: topic)",
        PROMPT.replace("{{ topic }}", "{{ topik }}"),
    ),
    "variable that is no column": from_prompt(
        "job.yaml:13: stages.0.prompt: stage 'question' needs column 'subject'; "
        "fix: columns at this stage: topic",
        PROMPT.replace("topic", "subject"),
    ),
    "undefined variable in the job itself": from_job(
        "job.yaml:9: prompts.ask.messages.0.content: undefined variable 'topik'; "
        "fix: write 'topic' (declared: topic)",
        changed("{{ topic }}", "{{ topik }}"),
    ),
    "syntax": from_prompt(
        "./mine.yaml:3: messages.0.content: template syntax: Unexpected end of template. "
        "...; fix: close every ...",
        PROMPT.replace("{{ topic }}", "{% if topic %}"),
    ),
    "attribute": from_prompt(
        "./mine.yaml:3: messages.0.content: attribute '__class__': a template reaches items only; "
        "fix: leave it out",
        PROMPT.replace("{{ topic }}", "{{ topic.__class__ }}"),
    ),
    "globals": from_prompt(
        "./mine.yaml:3: messages.0.content: attribute '__globals__': "
        "a template reaches items only; fix: leave it out",
        PROMPT.replace("{{ topic }}", "{{ lipsum.__globals__ }}"),
    ),
    "include": from_prompt(
        f"./mine.yaml:3: messages.0.content: 'include' in a template; fix: {TEMPLATE}",
        PROMPT.replace("{{ topic }}", "{% include 'x' %}"),
    ),
    "import": from_prompt(
        f"./mine.yaml:3: messages.0.content: 'import' in a template; fix: {TEMPLATE}",
        PROMPT.replace("{{ topic }}", "{% import 'x' as y %}"),
    ),
    "text without end": from_prompt(
        f"./mine.yaml:3: messages.0.content: arithmetic in a template; fix: {TEMPLATE}",
        PROMPT.replace("{{ topic }}", "{{ 'a' * 10**9 }}"),
    ),
    "empty": from_prompt(
        "./mine.yaml: the file is empty; fix: write at least one 'key: value' line", ""
    ),
    "not UTF-8": from_prompt(
        "./mine.yaml:4: byte 0xff is not UTF-8; fix: save the file as UTF-8",
        PROMPT.encode() + b"# \xff\n",
    ),
    "outside": from_job(
        "job.yaml:13: stages.0.prompt: prompt '../../etc/passwd' lies outside the job's folder and "
        "the current one; fix: copy it into the job's folder",
        changed("prompt: ask", "prompt: ../../etc/passwd"),
    ),
    "invalid schema": from_prompt(
        "./mine.yaml:4: output.schema: not a JSON Schema: type: 'objekt' is not valid ...",
        PROMPT + "output: {form: json, schema: {type: objekt}}\n",
    ),
    "shown but not there": from_words(
        "unknown prompt 'qa/questoin'; fix: write 'qa/question' ...",
        "prompts",
        "show",
        "qa/questoin",
    ),
}
