from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import UndefinedError
from jinja2.sandbox import ImmutableSandboxedEnvironment, SecurityError

from prompts.filters import FILTERS, MAX_OUTPUT
from prompts.template import (
    _ENVIRONMENT,
    MAX_ITEMS,
    MAX_NODES,
    Template,
    TemplateFault,
    check_plain,
)


def fault_of(text: str, values: dict[str, Any] | None = None) -> tuple[str, int]:
    template = Template(text)
    with pytest.raises(TemplateFault) as caught:
        template.render(values or {})
    return caught.value.problem, caught.value.line


def rendered_or_fault(text: str, values: dict[str, Any]) -> str:
    try:
        return Template(text).render(values)
    except TemplateFault as fault:
        return fault.problem


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("Hi {{ name }}!", {"name": "Ada"}, "Hi Ada!"),
        ("{{ a.b.c }}{{ a['b']['c'] }}", {"a": {"b": {"c": 1}}}, "11"),
        ("{{ a[1] }}{{ a|last }}", {"a": ["x", "y"]}, "yy"),
        ("{{ a[:2] }}", {"a": "xyz"}, "xy"),
        ("{{ a }}", {"a": [True, None, "é"]}, '[true, null, "é"]'),
        ("{{ a }}{{ b }}", {"a": False, "b": 1.5}, "false1.5"),
        ("{{ a.items }}", {"a": {"items": "an item, not a method"}}, "an item, not a method"),
        ("{% for x in a %}{{ loop.index }}{{ x }}{% endfor %}", {"a": ["p", "q"]}, "1p2q"),
        ("{% for k, v in a|items %}{{ k }}={{ v }};{% endfor %}", {"a": {"x": 1}}, "x=1;"),
        ("{% if a and not b %}yes{% else %}no{% endif %}", {"a": 1, "b": 0}, "yes"),
        ("{{ 'x' if a in ['p', 'q'] else 'y' }}", {"a": "q"}, "x"),
        ("{{ a|default('none', true) }}", {"a": None}, "none"),
        ("{{ a.b|default('none') }}", {"a": {}}, "none"),
        ("{{ a|join(', ') }} {{ a|length }}", {"a": ["p", 2]}, "p, 2 2"),
        ("{{ a|tojson }}", {"a": {"<": "é"}}, '{"<": "é"}'),
        ("{{ a|unique|sort|reverse|first }}", {"a": [1, 3, 1]}, "3"),
        ("{{ a|upper|lower|title|capitalize|trim }}", {"a": " b "}, "b"),
        ("{{ a|replace('b', 'c')|truncate(3) }}", {"a": "abba"}, "acc ..."),
        ("{{ a|round(1) }}{{ a|round }}", {"a": 2.25}, "2.22"),
        ("{{ a|indent(2) }}", {"a": "x\ny"}, "x\n  y"),
        ("{% raw %}{{ a }}{% endraw %}", {}, "{{ a }}"),
        ("{# a remark #}x", {}, "x"),
    ],
)
def test_renders_plain_data(text: str, values: dict[str, Any], expected: str) -> None:
    assert Template(text).render(values) == expected


@pytest.mark.parametrize(
    "text",
    ['{"a": 1}', '{"a": {"b": [1, 2]}}', "a { b", "} {", "100 %", "{x} {0} {}", "f'{x:>3}'", "$x"],
)
def test_stray_braces_and_json_just_work(text: str) -> None:
    assert Template(text + " {{ v }}").render({"v": "{{ x }} {x}"}) == text + " {{ x }} {x}"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{{ x.__class__ }}", "attribute '__class__': a template reaches items only"),
        ("{{ lipsum.__globals__ }}", "attribute '__globals__': a template reaches items only"),
        ("{{ 'a' * 10**9 }}", "arithmetic in a template"),
        ("{{ 'a' * 999999999 }}", "arithmetic in a template"),
        ("{{ 'a' ~ x }}", "'~' in a template"),
        ("{{ '%999999999d' % 1 }}", "arithmetic in a template"),
        ("{% set x = 1 %}", "'set' in a template"),
        ("{% include 'x' %}", "'include' in a template"),
        ("{% import 'x' as y %}", "'import' in a template"),
        ("{% from 'x' import y %}", "'import' in a template"),
        ("{% extends 'x' %}", "'extends' in a template"),
        ("{% macro x() %}{% endmacro %}", "'macro' in a template"),
        ("{% block x %}{% endblock %}", "'block' in a template"),
        ("{% filter upper %}x{% endfilter %}", "'filter' in a template"),
        ("{{ x.upper() }}", "a call in a template"),
        ("{{ range(9) }}", "a call in a template"),
        ("{{ cycler('a') }}", "a call in a template"),
        ("{{ {'a': 1} }}", "a mapping in a template"),
        ("{% for a in x recursive %}{% endfor %}", "a recursive loop in a template"),
        ("{{ x|attr('y') }}", "unknown filter 'attr'"),
        ("{{ x|map('upper') }}", "unknown filter 'map'"),
        ("{{ x|format(1) }}", "unknown filter 'format'"),
        ("{{ x is callable }}", "unknown test 'callable'"),
        ("{{ self }}", "'self' has no meaning here"),
        ("{{ loop.index }}", "'loop' has no meaning here"),
        ("{{ x", "template syntax: unexpected end of template, expected 'end of print statement'."),
        ("{% do x %}", "template syntax: Encountered unknown tag 'do'."),
        ("{# open", "template syntax: Missing end of comment tag"),
        ("{{ x" + ".a" * 99 + " }}", "the template is nested too deep"),
        ("{% for a in x %}" * 3 + "{% endfor %}" * 3, "more than 2 loops inside each other"),
    ],
)
def test_refuses_at_load_with_the_line(text: str, problem: str) -> None:
    with pytest.raises(TemplateFault) as caught:
        Template("one\ntwo " + text)
    assert (caught.value.problem, caught.value.line) == (problem, 2)


@pytest.mark.parametrize(
    "text",
    [
        "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
        "{% if a %}" * 500 + "{% endif %}" * 500,
        "{{ " + "9" * 5000 + " }}",
        "{{ x }}" * MAX_NODES,
        "{{ x" + "|upper" * 5000 + " }}",
    ],
)
def test_an_oversized_template_is_a_fault(text: str) -> None:
    with pytest.raises(TemplateFault, match=r"too deep|more than 2,000 parts"):
        Template(text)


@pytest.mark.parametrize(
    ("text", "values", "problem"),
    [
        ("{{ x }}", {}, "'x' is undefined"),
        ("{{ lipsum }}", {}, "'lipsum' is undefined"),
        ("{{ x }}", {"x": None}, "a null value"),
        ("{{ x.b }}", {"x": {"a": 1}}, "no item 'b'; there are: a"),
        ("{{ x[3] }}", {"x": [1]}, "no item 3 in a list of 1"),
        ("{{ x.upper }}", {"x": "text"}, "'upper' of a value that has no items"),
        ("{{ x['__class__'] }}", {"x": "text"}, "'__class__' of a value that has no items"),
        ("{{ x.keys }}", {"x": {"a": 1}}, "no item 'keys'; there are: a"),
        ("{% for a in x %}.{% endfor %}", {"x": "text"}, "a loop over a value that is not a list"),
        ("{% for a in x %}.{% endfor %}", {}, "'x' is undefined"),
        ("{% for a in x %}{{ loop }}{% endfor %}", {"x": [1]}, "something that is not a value"),
        ("{{ x|upper }}", {"x": 1}, "a filter for text was given a number"),
        ("{{ x|first }}", {"x": []}, "the first or last item of an empty list"),
        ("{{ x|join }}", {"x": {}}, "a filter for lists was given a mapping"),
        ("{{ x|indent(99) }}", {"x": "a"}, "indent takes 0 to 40"),
        ("{{ x|round(n) }}", {"x": 1, "n": -(10**9)}, "round takes 0 to 15 digits"),
    ],
)
def test_a_value_that_does_not_fit_is_a_fault_with_the_line(
    text: str, values: dict[str, Any], problem: str
) -> None:
    assert fault_of("one\n" + text, values) == (problem, 2)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("{{ x }}", {"x": "y" * (MAX_OUTPUT + 1)}),
        ("{{ x }}{{ x }}", {"x": "y" * 600_000}),
        (
            "{% for a in x %}{% for b in x %}{{ y }}{% endfor %}{% endfor %}",
            {"x": [1] * 99, "y": "y" * 999},
        ),
    ],
)
def test_output_is_capped(text: str, values: dict[str, Any]) -> None:
    assert "more than 1,000,000 characters" in fault_of(text, values)[0]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("{{ (x|replace('y', x))|length }}", {"x": "y" * 2000}),
        ("{{ (x|join(y))|length }}", {"x": ["a"] * 2000, "y": "y" * 2000}),
        ("{{ (x|indent(40))|length }}", {"x": "\n" * 40_000}),
    ],
)
def test_what_a_filter_makes_is_capped_before_it_is_made(text: str, values: dict[str, Any]) -> None:
    assert fault_of(text, values) == ("a filter makes more than 1,000,000 characters", 1)


def test_output_of_exactly_the_cap_passes() -> None:
    assert len(Template("{{ x }}").render({"x": "y" * MAX_OUTPUT})) == MAX_OUTPUT


def test_a_value_nested_deeply_is_a_fault_or_as_it_is() -> None:
    """From Python 3.12 on the depth that is too deep depends on the machine's stack."""
    value: Any = "x"
    for _ in range(5000):
        value = [value]
    check_plain({"x": value})
    whole = "[" * 5000 + '"x"' + "]" * 5000
    assert rendered_or_fault("{{ x }}", {"x": value}) in {whole, "a value is nested too deep"}


class Clever(str):
    def __str__(self) -> str:
        raise AssertionError("code ran")


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (Clever("x"), "a value of the type test_template.Clever is not plain data"),
        (object(), "a value of the type object is not plain data"),
        ([{"a": (1,)}], "a value of the type tuple is not plain data"),
        ({1: "a"}, "a mapping with a key that is not text is not plain data"),
        (b"bytes", "a value of the type bytes is not plain data"),
        ([0] * MAX_ITEMS, "more than 10,000 values in one prompt"),
    ],
)
def test_only_plain_data_is_accepted(value: Any, problem: str) -> None:
    with pytest.raises(TemplateFault) as caught:
        check_plain({"x": value})
    assert caught.value.problem == problem


def test_variables_have_the_line_of_their_first_use() -> None:
    template = Template(
        "a\n{{ b.c }}{% for x in y %}{{ x }}{{ loop.index }}{% endfor %}\n{{ b }}{{ z }}"
    )
    assert template.variables == {"b": 2, "y": 2, "z": 3}


def test_the_list_of_filters_is_the_whole_list() -> None:
    """A filter that Jinja has and this list lacks must not come back through Jinja's defaults."""
    expected = (
        "capitalize default first indent items join last length lower replace reverse round sort "
        "title tojson trim truncate unique upper"
    )
    assert sorted(FILTERS) == expected.split()


@given(st.text(alphabet="{}%#|.x\n'\"[]()1 iforn_", max_size=30))
def test_any_text_is_a_template_or_a_fault(text: str) -> None:
    with suppress(TemplateFault):
        Template(text).render({"x": {"x": ["a"]}})


REACHING = ["{{ x.append(1) }}", "{{ x.__class__.__mro__ }}", "{{ ''.join.__self__ }}"]


@pytest.mark.parametrize("text", [*REACHING, "{{ x.pop() }}"])
def test_behind_the_allowed_syntax_stands_a_sandbox_of_its_own(text: str) -> None:
    """The first line of defence left out: what it would have refused must fail all the same."""
    values = ["a"]
    assert isinstance(_ENVIRONMENT, ImmutableSandboxedEnvironment)
    with pytest.raises((SecurityError, UndefinedError)):
        _ENVIRONMENT.from_string(text).render(x=values)
    assert values == ["a"]
