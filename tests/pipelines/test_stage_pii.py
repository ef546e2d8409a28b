import random
from importlib.util import find_spec
from pathlib import Path

import pytest
from command_line import assert_line, textmill
from fakes import FakeContext, outcomes, reasons, row
from jobs import files_of, job_data, launched, write_job

from benchmarks.safety import SECRETS, numbers
from pipelines.rows import Rejection, Row
from pipelines.stages import STAGES, Pii, Secrets
from pipelines.stages.safety import entities, secret_patterns
from pipelines.stages.safety.checksums import CHECKS
from pipelines.stages.safety.stand_ins import stand_in
from prompts.errors import UsageError

MIXED = "Mail jo@corp.com, or call +44 20 7946 0958; card 4111 1111 1111 1111."


def found(text: str, kinds: tuple[str, ...] = entities.KINDS) -> list[tuple[str, str]]:
    return [(span.kind, text[span.start : span.end]) for span in entities.find(text, kinds)]


@pytest.mark.parametrize(
    ("check", "number"),
    [
        ("card", "378282246310005"),
        ("iban", "GB29NWBK60161331926819"),
        ("us_ssn", "531217351"),
        ("uk_nhs", "9434765919"),
        ("uk_nino", "AB123456C"),
        ("de_tax_id", "86095742719"),
        ("fr_nir", "255081416802538"),
        ("es_dni", "X1234567L"),
        ("it_fiscal_code", "RSSMRA85T10A562S"),
        ("pl_pesel", "44051401359"),
        ("nl_bsn", "111222333"),
        ("br_cpf", "52998224725"),
        ("ca_sin", "130692544"),
        ("au_tfn", "123456782"),
        ("in_aadhaar", "234123412346"),
    ],
)
def test_published_numbers_pass_and_no_other_check_character_does(check: str, number: str) -> None:
    assert CHECKS[check](number)
    if check not in {"us_ssn", "uk_nino"}:  # they have none
        characters = "0123456789" if number[-1].isdigit() else "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
        assert [c for c in characters if CHECKS[check](number[:-1] + c)] == [number[-1]]


@pytest.mark.parametrize("kind", CHECKS)
def test_all_valid_numbers_are_found_and_none_that_fails_its_check(kind: str) -> None:
    near = {"fr_nir": "NIR", "uk_nhs": "NHS", "de_tax_id": "Steuer-ID", "in_aadhaar": "Aadhaar"}
    word = near.get(kind, kind.split("_")[-1].upper())
    word = {"br_cpf": "CPF", "ca_sin": "SIN", "au_tfn": "TFN"}.get(kind, word)
    for number in numbers(kind, valid=True, each=30):
        assert (kind, number) in found(f"{word}: {number}, thanks"), number
    for number in numbers(kind, valid=False, each=30):
        assert kind not in dict(found(f"{word}: {number}, thanks")), number


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Mail jo.o'neil+x@mail.example.org.", [("email", "jo.o'neil+x@mail.example.org")]),
        ("jo [at] corp [dot] com", [("email", "jo [at] corp [dot] com")]),
        ("+33 6 12 34 56 78", [("phone", "+33 6 12 34 56 78")]),
        ("(212) 555-0187 x12", [("phone", "(212) 555-0187 x12")]),
        ("0171 39200-11", [("phone", "0171 39200-11")]),
        ("Tel. 84 23 30", [("phone", "84 23 30")]),
        ("Card 4111-1111-1111-1111 12/27", [("card", "4111-1111-1111-1111")]),
        ("Card 4111111111111111 123", [("card", "4111111111111111")]),
        ("from DE89 3704 0044 0532 0130 00 to you", [("iban", "DE89 3704 0044 0532 0130 00")]),
        ("seen at 203.0.113.9:8080", [("ip", "203.0.113.9")]),
        ("at 2001:db8::ff00:42:8329.", [("ip", "2001:db8::ff00:42:8329")]),
        ("She was born on 3 May 1984.", [("birth_date", "3 May 1984")]),
        ("DOB: 1984-05-03", [("birth_date", "1984-05-03")]),
        ("Passport no. C01X00T47 or 123456789", [("passport", "123456789")]),
        ("driver's license D123-4567-8901", [("driver_license", "D123-4567-8901")]),
        ("see https://example.org/a?b=1.", [("url", "https://example.org/a?b=1")]),
        ("Dear Mrs. Anna Weber,", [("name", "Anna Weber")]),
        ("at 12 Old Mill Road, Leeds", [("address", "12 Old Mill Road")]),
    ],
)
def test_what_is_found(text: str, expected: list[tuple[str, str]]) -> None:
    assert found(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The war lasted from 1939-1945, and 1,234,567 people fled.",
        "Version 1.2.3.4 of 2024-01-15 12:30:05",
        "std::vector<int> a::b; the ratio is 3:4:5",
        "ISBN 978-3-16-148410-0, DOI 10.1000/182",
        "Order no. 4111 1111 1111 1112 shipped",
        "9434765919 is a number, and 44051401359 is another one",  # valid, and nothing names them
        "localhost is 127.0.0.1",
        "a@b, @handle and user@localhost",
        "The meeting is on 03/05/1984.",
    ],
)
def test_what_looks_like_data_and_is_none(text: str) -> None:
    assert found(text, entities.DEFAULT) == []


def test_rows_are_rejected_masked_or_flagged() -> None:
    [rejected] = outcomes(Pii(), [row(text=MIXED)])
    assert isinstance(rejected, Rejection)
    assert rejected.reason == "personal_data"
    places = [["text", 5, 16, "email"], ["text", 26, 42, "phone"], ["text", 49, 68, "card"]]
    counts = {"card": 1, "email": 1, "phone": 1}
    assert rejected.detail == {"found": counts, "spans": places}
    [masked] = outcomes(Pii(action="mask"), [row(text=MIXED)])
    assert isinstance(masked, Row)
    assert masked.data["text"] == "Mail [EMAIL], or call [PHONE]; card [CARD]."
    assert masked.history[-1]["spans"] == places
    [flagged] = outcomes(Pii(action="flag", adds="found"), [row(text=MIXED)])
    assert isinstance(flagged, Row)
    assert flagged.data == {"text": MIXED, "found": counts}
    clean = row(text="Nothing here.")
    assert outcomes(Pii(action="mask"), [clean]) == [clean]


def test_texts_inside_of_lists_and_objects_are_looked_at() -> None:
    chat = [{"role": "user", "content": "I am jo@corp.com"}, {"role": "bot", "content": "Hi"}]
    [masked] = outcomes(Pii(action="mask"), [row(messages=chat, n=3)])
    assert isinstance(masked, Row)
    assert masked.data["messages"][0]["content"] == "I am [EMAIL]"
    assert masked.history[-1]["spans"] == [["messages.0.content", 5, 16, "email"]]
    only = Pii(fields=("n",))
    assert outcomes(only, [row(messages=chat, n=3)]) == [row(messages=chat, n=3)]
    assert reasons(outcomes(Pii(fields=("other",)), [row(n=3)])) == ["missing_column"]


def test_a_value_has_one_stand_in_in_a_run_and_another_in_each_family_if_asked() -> None:
    rows = [
        row(id=f"r{i}", family=f"f{i // 2}", text="jo@corp.com JO@CORP.COM al@corp.com")
        for i in range(4)
    ]
    kept = [r.data["text"].split() for r in outcomes(Pii(action="replace"), rows)]  # type: ignore[union-attr]
    assert len({tuple(text) for text in kept}) == 1
    first, same, other = kept[0]
    assert first == same != other
    assert first.endswith("@example.com")
    by_family = Pii(action="replace", scope="family")
    kept = [r.data["text"].split() for r in outcomes(by_family, rows)]  # type: ignore[union-attr]
    assert kept[0] == kept[1] != kept[2] == kept[3]


@pytest.mark.parametrize("kind", [kind for kind in CHECKS if kind != "card"])
def test_stand_ins_keep_the_form_and_can_be_nobodys(kind: str) -> None:
    for number in numbers(kind, valid=True, each=30):
        made = stand_in(kind, number, "key")
        assert [c.isalnum() for c in made] == [c.isalnum() for c in number]
        assert made != number
        assert kind in {"uk_nino"} or not CHECKS[kind](entities.bare(made)), made


@pytest.mark.parametrize(
    ("kind", "value", "start"),
    [
        ("card", "5555 5555 5555 4444", "4242 42"),
        ("phone", "+44 20 7946 0958", "+44 7700 900"),
        ("phone", "+33 1 23 45 67 89", "+33 6 39 98 "),
        ("ip", "8.8.8.8", ("192.0.2.", "198.51.100.", "203.0.113.")),
        ("ip", "2a00:1450:4001::200e", "2001:db8::"),
        ("uk_nino", "AB 12 34 56 C", "QQ "),
        ("iban", "DE89 3704 0044 0532 0130 00", "DE00 "),
        ("url", "https://corp.com/jo", "https://example.com/"),
    ],
)
def test_reserved_values_are_taken_where_there_are_any(
    kind: str, value: str, start: str | tuple[str, ...]
) -> None:
    made = stand_in(kind, value, "key")
    assert made.startswith(start)
    assert made != stand_in(kind, value, "another key")
    assert found(made) == [(kind, made)] or kind in {"uk_nino", "iban"}


def test_what_was_replaced_is_gone() -> None:
    draw = random.Random(1)
    kinds = ["card", "iban", "us_ssn", "es_dni", "br_cpf"]
    pool = {kind: numbers(kind, valid=True, each=30) for kind in kinds}
    for _ in range(50):
        values = [draw.choice(pool[kind]) for kind in kinds]
        text = "; ".join(values)
        [kept] = outcomes(Pii(action="replace"), [row(text=text)])
        assert isinstance(kept, Row)
        assert not any(value in kept.data["text"] for value in values)


@pytest.mark.parametrize("kind", SECRETS)
def test_tokens_are_found(kind: str) -> None:
    draw = random.Random(kind)
    for _ in range(100):
        token = SECRETS[kind](draw)
        text = f"use '{token}' for it"
        spans = secret_patterns.find(text)
        assert [(s.kind, text[s.start : s.end]) for s in spans] == [(kind, token)]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('password = "hunter2!Xyz9"', "assigned"),
        ("API_KEY: 9f8e7d6c5b4a39281706", "assigned"),
        ("postgres://app:s3cr3tPw@db.corp.com/x", "password_in_url"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----", "private_key"),
        (
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P",
            "jwt",
        ),
        ("aws_secret_access_key = wJalrXUtnFEMIbK7MDENGbPxRfiCYzzzzzzzKEY1", "aws_secret_key"),
    ],
)
def test_other_secrets_are_found(text: str, kind: str) -> None:
    assert [span.kind for span in secret_patterns.find(text)] == [kind]


@pytest.mark.parametrize(
    "text",
    [
        "password = your_password_here",
        "token: ${GITHUB_TOKEN}",
        "secret = os.environ['SECRET']",
        "The password is required.",
        "Choose a password: something memorable",
        "api_key = xxxxxxxxxxxxxxxx",
        "eyJ0ZXN0.eyJhYmNkZWY.not_a_token_of_json",
        "The token economy grew, and sk-learn is a library.",
        "commit 9f8e7d6c5b4a392817069f8e7d6c5b4a39281706",
    ],
)
def test_placeholders_and_prose_are_no_secrets(text: str) -> None:
    assert secret_patterns.find(text) == []


def test_secrets_are_rejected_masked_or_replaced() -> None:
    token = "ghp_0123456789abcdefghijABCDEFGHIJ012345"
    assert reasons(outcomes(Secrets(), [row(code=f"t = {token}")])) == ["secret"]
    [masked] = outcomes(Secrets(action="mask"), [row(code=f"t = {token}")])
    assert isinstance(masked, Row)
    assert masked.data["code"] == "t = [GITHUB_TOKEN]"
    [replaced] = outcomes(Secrets(action="replace"), [row(code=f"t = {token}")])
    assert isinstance(replaced, Row)
    made = replaced.data["code"].removeprefix("t = ")
    assert (made[:4], len(made)) == ("ghp_", len(token))
    assert made != token


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "pii", "entities": ["mail"]}, "unknown entity 'mail'"),
        ({"kind": "pii", "entities": []}, "nothing to look for"),
        ({"kind": "pii", "ner": "presidio"}, "names and addresses only"),
        ({"kind": "pii", "action": "delete"}, "'reject', 'mask', 'replace' or 'flag'"),
        ({"kind": "secrets", "entities": ["aws"]}, "unknown entity 'aws'"),
    ],
)
def test_impossible_settings_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        STAGES.build(options, key="stages.0")


def test_a_run_gives_the_same_bytes_whatever_the_blocks(tmp_path: Path) -> None:
    topics = [f"call {number} of mail a{number % 7}@corp.com" for number in range(20)]
    source = {"kind": "topics", "topics": topics, "count": 20}
    stages = [{"kind": "pii", "action": "replace"}]
    runs = []
    for block in (1, 7):
        launched(tmp_path, f"run{block}", sources=[source], stages=stages, block=block)
        runs.append(files_of(tmp_path / f"run{block}")["rows.jsonl"])
    assert runs[0] == runs[1]
    assert b"corp.com" not in runs[0]


def test_a_recogniser_that_is_not_there_is_named(tmp_path: Path) -> None:
    if find_spec("presidio_analyzer") is None:
        stage = {"kind": "pii", "entities": ["name"], "ner": "presidio"}
        write_job(tmp_path, job_data(stages=[stage]))
        ended = textmill(tmp_path, "validate", "job.yaml")
        assert ended.code == 2
        assert_line(
            ended.err, "job.yaml:...ner: the recogniser needs the package presidio-analyzer..."
        )
    else:
        pytest.skip("presidio-analyzer is installed")


def test_a_row_that_cannot_be_worked_on_is_rejected_alone() -> None:
    class Broken(Pii):
        def find(self, text: str) -> list[entities.Span]:
            raise ValueError(text)

    rows = [row(id="r0", text="x"), row(id="r1", n=1)]
    stage = Broken()
    assert reasons(outcomes(stage, rows, FakeContext(stage))) == ["failed", ""]
