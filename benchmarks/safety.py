"""How much personal data, how many secrets and how much abuse the stages of `safety` find.

`python -m benchmarks.safety FOLDER` wants the data sets `pii_presidio` and `safety_davidson` in
FOLDER and takes about a minute; without FOLDER it measures generated numbers alone.
docs/quality.md keeps the figures.
"""

import csv
import json
import random
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from pipelines.stages.safety import entities
from pipelines.stages.safety.checksums import CHECKS, IBAN_LENGTHS, as_digits
from pipelines.stages.safety.secret_patterns import find as find_secrets
from pipelines.stages.safety.spans import Span
from pipelines.stages.safety.toxic_terms import Lexicon

EACH = 1_000

_LABELS = {
    "PHONE_NUMBER": "phone",
    "CREDIT_CARD": "card",
    "US_SSN": "us_ssn",
    "IP_ADDRESS": "ip",
    "EMAIL_ADDRESS": "email",
    "US_DRIVER_LICENSE": "driver_license",
    "DOMAIN_NAME": "url",
    "PERSON": "name",
    "ADDRESS": "address",
    "DATE_TIME": "birth_date",
}
_SLOTS = {
    "credit_card_number": "card",
    "phone_number": "phone",
    "email": "email",
    "iban": "iban",
    "ssn": "us_ssn",
    "ip_address": "ip",
    "us_driver_license": "driver_license",
    "date_of_birth": "birth_date",
    "url": "url",
    **dict.fromkeys(("person", "name", "name_male", "name_female"), "name"),
}
_SENTENCES = {
    "card": "Charge {} please",
    "iban": "Send it to {} today",
    "us_ssn": "My SSN is {}.",
    "uk_nhs": "NHS number {}",
    "uk_nino": "NINO: {}",
    "de_tax_id": "Steuer-ID {} bitte",
    "fr_nir": "le NIR {}",
    "es_dni": "con DNI {}",
    "it_fiscal_code": "codice fiscale {}",
    "pl_pesel": "PESEL {}",
    "nl_bsn": "BSN {}",
    "br_cpf": "CPF {}",
    "ca_sin": "SIN {}",
    "au_tfn": "TFN {}",
    "in_aadhaar": "Aadhaar {}",
}
_SHAPES = {
    "us_ssn": "999-99-9999", "uk_nhs": "9999999999", "uk_nino": "AA999999D",
    "de_tax_id": "99999999999", "fr_nir": "199129999999999", "es_dni": "99999999A",
    "it_fiscal_code": "AAAAAA99H99A999A", "pl_pesel": "99012199999", "nl_bsn": "999999999",
    "br_cpf": "999.999.999-99", "ca_sin": "999-999-999", "au_tfn": "999 999 999",
    "in_aadhaar": "9999 9999 9999",
}  # fmt: skip

Texts = list[tuple[str, list[Span]]]


def measure(folder: Path | None = None) -> Iterator[tuple[str, str]]:
    """Figures by set and kind."""
    for kind in CHECKS:
        good, bad = numbers(kind, valid=True), numbers(kind, valid=False)
        sentence = _SENTENCES[kind]
        found = sum(_kinds(sentence.format(n)) == [kind] for n in good)
        wrong = sum(kind in _kinds(sentence.format(n)) for n in bad)
        yield f"{kind}: found, of {EACH} valid", f"{found}"
        yield f"{kind}: found, of {len(bad)} that break its rules", f"{wrong}"
    if folder is None:
        return
    kinds = (*entities.DEFAULT, "url", "name", "address")
    labelled = presidio_sentences(folder / "pii_presidio/generated_small.json")
    yield from _shares("presidio, 100 sentences", labelled, kinds)
    filled = presidio_templates(folder / "pii_presidio", random.Random(5))
    yield from _shares("presidio templates, filled", filled, (*entities.DEFAULT, "url"))
    yield from _secrets(filled)
    yield from _abuse(folder / "safety_davidson/labeled_data.csv")


def numbers(kind: str, *, valid: bool, each: int = EACH) -> list[str]:
    """Numbers of a kind that pass its check, or that have its form and fail it."""
    draw = random.Random(f"{kind}{valid}")
    made: list[str] = []
    tries = 0
    while len(made) < each and tries < 300_000:
        tries += 1
        number = _drawn(kind, draw)
        passes = CHECKS[kind](entities.bare(number))
        if passes == valid:
            made.append(number)
    return made


def _drawn(kind: str, draw: random.Random) -> str:
    if kind == "card":
        prefix, size = draw.choice([("4", 16), ("5" + draw.choice("12345"), 16), ("37", 15)])
        digits = prefix + "".join(draw.choices("0123456789", k=size - len(prefix)))
        return digits if draw.random() < 0.5 else " ".join(re.findall(".{1,4}", digits))
    if kind == "iban":
        country = draw.choice(list(IBAN_LENGTHS))
        body = "".join(draw.choices("0123456789", k=IBAN_LENGTHS[country] - 4))
        remainder = int(as_digits(f"{body}{country}00")) % 97
        check = 98 - remainder if draw.random() < 0.5 else draw.randrange(2, 99)
        plain = f"{country}{check:02}{body}"
        return plain if draw.random() < 0.5 else " ".join(re.findall(".{1,4}", plain))
    drawn = []
    for place in _SHAPES[kind]:
        if place == "9":
            drawn.append(draw.choice("0123456789"))
        elif place in "AHD":
            letters = {"A": "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "H": "ABCDEHLMPRST", "D": "ABCD"}
            drawn.append(draw.choice(letters[place]))
        else:
            drawn.append(place)
    return "".join(drawn)


def _kinds(text: str) -> list[str]:
    return [span.kind for span in entities.find(text, entities.DEFAULT)]


def presidio_sentences(path: Path) -> Texts:
    """The sentences with the spans of the kinds that the stage knows."""
    records = json.loads(path.read_text(encoding="utf-8"))
    return [
        (
            record["full_text"],
            [
                Span(s["start_position"], s["end_position"], _LABELS[s["entity_type"]])
                for s in record["spans"]
                if s["entity_type"] in _LABELS
            ],
        )
        for record in records
    ]


def presidio_templates(folder: Path, draw: random.Random, people: int = 10) -> Texts:
    """Every template filled with the data of ten of the hundred made-up people."""
    templates = (folder / "templates.txt").read_text(encoding="utf-8", errors="replace")
    with (folder / "FakeNameGenerator.com_100.csv").open(encoding="utf-8-sig", newline="") as file:
        records = list(csv.DictReader(file))
    texts: Texts = []
    for line in templates.splitlines():
        template = line.replace("\\n", "\n").replace("\\,", ",")
        for person in draw.sample(records, people):
            texts.append(_filled(template, person, draw))
    return texts


def _filled(template: str, person: dict[str, str], draw: random.Random) -> tuple[str, list[Span]]:
    text, spans = "", []
    for piece in re.split(r"(\{\{\w+\}\})", template):
        slot = piece.strip("{}") if piece.startswith("{{") else ""
        value = _value(slot, person, draw) if slot else piece
        if slot in _SLOTS:
            spans.append(Span(len(text), len(text) + len(value), _SLOTS[slot]))
        text += value
    return text, spans


def _value(slot: str, person: dict[str, str], draw: random.Random) -> str:
    name = f"{person['GivenName']} {person['Surname']}"
    drawn: dict[str, Callable[[], str]] = {
        "credit_card_number": lambda: person["CCNumber"],
        "phone_number": lambda: person["TelephoneNumber"],
        "email": lambda: person["EmailAddress"],
        "iban": lambda: draw.choice(numbers_of("iban")),
        "ssn": lambda: draw.choice(numbers_of("us_ssn")),
        "ip_address": lambda: ".".join(str(draw.randrange(1, 255)) for _ in range(4)),
        "us_driver_license": lambda: f"{draw.randrange(10**8, 10**9)}",
        "date_of_birth": lambda: person["Birthday"],
        "date_time": lambda: "2019-06-28 14:48:14",
        "url": lambda: f"https://www.{person['Domain']}/",
        "city": lambda: person["City"],
        "country": lambda: person["CountryFull"],
        "address": lambda: f"{person['StreetAddress']}, {person['City']} {person['ZipCode']}",
        "street_name": lambda: person["StreetAddress"].strip("0123456789 "),
        "building_number": lambda: str(draw.randrange(1, 200)),
        "secondary_address": lambda: f"Apt. {draw.randrange(1, 999)}",
        "zipcode": lambda: person["ZipCode"],
        "postcode": lambda: person["ZipCode"],
        "organization": lambda: person["Company"],
        "job": lambda: person["Occupation"],
        "age": lambda: person["Age"],
        "year": lambda: str(draw.randrange(1950, 2020)),
        "last_name": lambda: person["Surname"],
        "person": lambda: name,
        "name": lambda: name,
        "name_male": lambda: name,
        "name_female": lambda: name,
        "state_abbr": lambda: person["State"],
        "day_of_week": lambda: "Tuesday",
    }
    return drawn.get(slot, lambda: person["GivenName"])()


_MADE: dict[str, list[str]] = {}


def numbers_of(kind: str) -> list[str]:
    """Valid numbers of a kind, drawn once."""
    if kind not in _MADE:
        _MADE[kind] = numbers(kind, valid=True)
    return _MADE[kind]


def _shares(title: str, texts: Texts, kinds: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Recall of the gold spans (covered whole), precision of the spans found (touching one)."""
    hits, gold, right, given = Counter(), Counter(), Counter(), Counter()  # type: ignore[var-annotated]
    for text, expected in texts:
        found = entities.find(text, kinds)
        for span in expected:
            gold[span.kind] += 1
            hits[span.kind] += any(
                f.kind == span.kind and f.start <= span.start and f.end >= span.end for f in found
            )
        for span in found:
            given[span.kind] += 1
            right[span.kind] += any(
                e.kind == span.kind and e.start < span.end and span.start < e.end for e in expected
            )
    for kind in kinds:
        if gold[kind] or given[kind]:
            yield (
                f"{title}: {kind}",
                f"recall {hits[kind]}/{gold[kind]}, precision {right[kind]}/{given[kind]}",
            )


def _secrets(texts: Texts) -> Iterator[tuple[str, str]]:
    draw = random.Random(9)
    for kind, make in SECRETS.items():
        found = sum(
            [s.kind for s in find_secrets(f"use {make(draw)} for it")] == [kind]
            for _ in range(EACH)
        )
        yield f"secrets: {kind}, of {EACH}", f"{found}"
    wrong = sum(bool(find_secrets(text)) for text, _ in texts)
    yield f"secrets: false alarms in {len(texts)} texts", f"{wrong}"


def _letters(draw: random.Random, size: int, also: str = "") -> str:
    plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    return "".join(draw.choices(plain + also, k=size))


SECRETS: dict[str, Callable[[random.Random], str]] = {
    "aws_access_key": lambda d: "AKIA" + _letters(d, 16).upper(),
    "github_token": lambda d: f"gh{d.choice('pousr')}_{_letters(d, 36)}",
    "gitlab_token": lambda d: f"glpat-{_letters(d, 20)}",
    "slack_token": lambda d: f"xoxb-{d.randrange(10**11)}-{d.randrange(10**11)}-{_letters(d, 24)}",
    "google_api_key": lambda d: f"AIza{_letters(d, 35, '_-')}",
    "openai_key": lambda d: f"sk-proj-{_letters(d, 48)}",
    "anthropic_key": lambda d: f"sk-ant-api03-{_letters(d, 93)}AA",
    "hugging_face_token": lambda d: f"hf_{_letters(d, 34)}",
    "stripe_key": lambda d: f"sk_live_{_letters(d, 24)}",
}  # fmt: skip


def _abuse(path: Path) -> Iterator[tuple[str, str]]:
    """Hate and offence (two classes) against neither, by the score of the shipped word list."""
    with path.open(encoding="utf-8", newline="") as file:
        tweets = [(row["class"], row["tweet"]) for row in csv.DictReader(file)]
    lexicon = Lexicon()
    scored = [(label, lexicon.score(text)) for label, text in tweets]
    for threshold in (0.3, 0.5, 0.7, 0.9):
        flagged = Counter(label for label, score in scored if score > threshold)
        totals = Counter(label for label, _ in scored)
        found = flagged["0"] + flagged["1"]
        yield (
            f"Davidson: score above {threshold}",
            f"precision {found / max(1, sum(flagged.values())):.3f}, recall "
            f"{found / (totals['0'] + totals['1']):.3f}; of hate {flagged['0'] / totals['0']:.3f}, "
            f"of offence {flagged['1'] / totals['1']:.3f}, of neither "
            f"{flagged['2'] / totals['2']:.3f}",
        )


if __name__ == "__main__":
    data = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    for row_name, figure in measure(data):
        print(f"  {row_name:<52} {figure}", flush=True)
