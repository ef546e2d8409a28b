"""Check digits of numbers that are issued to people and accounts.

    luhn("4111111111111111")          ->  True
    iban("DE89370400440532013000")    ->  True
    pesel("44051401359")              ->  True

Every function takes a number without its separators, letters in upper case, and says whether form
and check digit agree. A number that passes may still belong to nobody.
"""

from collections.abc import Callable, Sequence

IBAN_LENGTHS = {
    name: int(length)
    for name, length in (
        pair.split(":")
        for pair in [
            "AD:24",
            "AE:23",
            "AL:28",
            "AT:20",
            "AZ:28",
            "BA:20",
            "BE:16",
            "BG:22",
            "BH:22",
            "BI:27",
            "BR:29",
            "BY:28",
            "CH:21",
            "CR:22",
            "CY:28",
            "CZ:24",
            "DE:22",
            "DJ:27",
            "DK:18",
            "DO:28",
            "EE:20",
            "EG:29",
            "ES:24",
            "FI:18",
            "FK:18",
            "FO:18",
            "FR:27",
            "GB:22",
            "GE:22",
            "GI:23",
            "GL:18",
            "GR:27",
            "GT:28",
            "HN:28",
            "HR:21",
            "HU:28",
            "IE:22",
            "IL:23",
            "IQ:23",
            "IS:26",
            "IT:27",
            "JO:30",
            "KW:30",
            "KZ:20",
            "LB:28",
            "LC:32",
            "LI:21",
            "LT:20",
            "LU:20",
            "LV:21",
            "LY:25",
            "MC:27",
            "MD:24",
            "ME:22",
            "MK:19",
            "MN:20",
            "MR:27",
            "MT:31",
            "MU:30",
            "NI:28",
            "NL:18",
            "NO:15",
            "OM:23",
            "PK:24",
            "PL:28",
            "PS:29",
            "PT:25",
            "QA:29",
            "RO:24",
            "RS:22",
            "RU:33",
            "SA:24",
            "SC:31",
            "SD:18",
            "SE:24",
            "SI:19",
            "SK:24",
            "SM:27",
            "SO:23",
            "ST:25",
            "SV:28",
            "TL:23",
            "TN:24",
            "TR:26",
            "UA:29",
            "VA:22",
            "VG:24",
            "XK:20",
            "YE:30",
        ]
    )
}
_DNI_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"
_CARD_PREFIXES = (
    ((4,), (13, 16, 19)),  # Visa
    ((*range(51, 56), *range(2221, 2721)), (16,)),  # Mastercard
    ((34, 37), (15,)),  # American Express
    ((6011, *range(644, 650), 65), (16, 17, 18, 19)),  # Discover
    ((*range(300, 306), 36, 38, 39), (14, 15, 16, 17, 18, 19)),  # Diners Club
    (tuple(range(3528, 3590)), (16, 17, 18, 19)),  # JCB
    ((62,), (16, 17, 18, 19)),  # UnionPay
    ((50, *range(56, 59), 63, 67), (12, 13, 14, 15, 16, 17, 18, 19)),  # Maestro
)
_FISCAL_ODD = (
    1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23,
)  # fmt: skip
_VERHOEFF_PRODUCT = tuple(
    tuple((a + b) % 5 if a < 5 and b < 5 else
          5 + (a + b) % 5 if a < 5 else
          5 + (a - b) % 5 if b < 5 else
          (a - b) % 5 for b in range(10))
    for a in range(10)
)  # fmt: skip
_VERHOEFF_STEP = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)


def luhn(number: str) -> bool:
    """The Luhn sum (ISO/IEC 7812-1): every second digit from the right doubled."""
    doubled = sum(sum(divmod(2 * int(digit), 10)) for digit in number[-2::-2])
    return (doubled + sum(map(int, number[-1::-2]))) % 10 == 0


def card(number: str) -> bool:
    """A payment card: a prefix and length that issuers use, and the Luhn sum."""
    known = any(
        len(number) in lengths and any(number.startswith(str(prefix)) for prefix in prefixes)
        for prefixes, lengths in _CARD_PREFIXES
    )
    return known and len(set(number)) > 1 and luhn(number)


def iban(number: str) -> bool:
    """An account number by ISO 13616: its country's length, and 1 modulo 97."""
    if len(number) != IBAN_LENGTHS.get(number[:2]) or not number[2:4].isdigit():
        return False
    return 2 <= int(number[2:4]) <= 98 and int(as_digits(number[4:] + number[:4])) % 97 == 1


def as_digits(text: str) -> str:
    """Digits as they are, letters as 10 to 35."""
    return "".join(str(int(character, 36)) for character in text)


def us_ssn(number: str) -> bool:
    """A US social security number has no check digit, but areas that are never assigned."""
    area, group, serial = number[:3], number[3:5], number[5:]
    free = area in {"000", "666"} or area >= "900" or group == "00" or serial == "0000"
    return len(number) == 9 and not free and len(set(number)) > 1


def uk_nhs(number: str) -> bool:
    """A UK health number: ten digits, weights 10 to 2, modulo 11."""
    check = (11 - weighted(number[:9], range(10, 1, -1)) % 11) % 11
    return len(number) == 10 and check == int(number[9]) and len(set(number)) > 1


def uk_nino(number: str) -> bool:
    """A UK insurance number has no check digit, but prefixes that are never issued."""
    unused = {"BG", "GB", "NK", "KN", "TN", "NT", "ZZ"}
    letters = number[0] not in "DFIQUV" and number[1] not in "DFIOQUV"
    return len(number) == 9 and letters and number[:2] not in unused


def de_tax_id(number: str) -> bool:
    """A German tax number: one digit of the first ten repeats; ISO 7064, mod 11,10."""
    counts = sorted(number[:10].count(digit) for digit in set(number[:10]))
    if len(number) != 11 or number[0] == "0" or counts[-1] not in (2, 3) or counts[:-1][-1:] > [1]:
        return False
    product = 10
    for digit in number[:10]:
        total = (int(digit) + product) % 10 or 10
        product = total * 2 % 11
    return (11 - product) % 10 == int(number[10])


def fr_nir(number: str) -> bool:
    """A French social security number: sex, year, month, place, order, key modulo 97."""
    body = number[:13].replace("2A", "19", 1).replace("2B", "18", 1)
    if len(number) != 15 or not (body + number[13:]).isdigit() or number[0] not in "123478":
        return False
    month = int(number[3:5])
    plausible = 1 <= month <= 12 or 20 <= month <= 42 or 50 <= month <= 99
    return plausible and 97 - int(body) % 97 == int(number[13:])


def es_dni(number: str) -> bool:
    """A Spanish identity number (DNI, or NIE with X, Y, Z first): its letter, modulo 23."""
    digits = number[:-1].translate(str.maketrans("XYZ", "012"))
    known = len(number) == 9 and digits.isdigit()
    return known and _DNI_LETTERS[int(digits) % 23] == number[-1]


def it_fiscal_code(number: str) -> bool:
    """An Italian tax code: sixteen characters, the last one a check letter."""
    values = [int(character, 36) % 36 for character in number[:15]]
    values = [value - 10 if value >= 10 else value for value in values]
    total = sum(_FISCAL_ODD[v] if place % 2 == 0 else v for place, v in enumerate(values))
    return len(number) == 16 and chr(ord("A") + total % 26) == number[15]


def pl_pesel(number: str) -> bool:
    """A Polish identity number: a date of birth with the century in its month, and a check."""
    month, day = int(number[2:4]) % 20, int(number[4:6])
    check = -weighted(number[:10], (1, 3, 7, 9, 1, 3, 7, 9, 1, 3)) % 10
    return len(number) == 11 and 1 <= month <= 12 and 1 <= day <= 31 and check == int(number[10])


def nl_bsn(number: str) -> bool:
    """A Dutch citizen number: weights 9 to 2 and -1, modulo 11."""
    total = weighted(number, (9, 8, 7, 6, 5, 4, 3, 2, -1))
    return len(number) == 9 and total % 11 == 0 and len(set(number)) > 1


def br_cpf(number: str) -> bool:
    """A Brazilian tax number: two check digits, weights 10 to 2 and 11 to 2, modulo 11."""
    if len(number) != 11 or len(set(number)) == 1:
        return False
    checks = (weighted(number[:n], range(n + 1, 1, -1)) * 10 % 11 % 10 for n in (9, 10))
    return all(check == int(digit) for check, digit in zip(checks, number[9:], strict=True))


def ca_sin(number: str) -> bool:
    """A Canadian insurance number: nine digits with the Luhn sum, not from 0 or 8."""
    return len(number) == 9 and number[0] not in "08" and luhn(number)


def au_tfn(number: str) -> bool:
    """An Australian tax number: nine digits, modulo 11."""
    total = weighted(number, (1, 4, 3, 7, 5, 8, 6, 9, 10))
    return len(number) == 9 and total % 11 == 0 and len(set(number)) > 1


def in_aadhaar(number: str) -> bool:
    """An Indian identity number: twelve digits, the first from 2 on, Verhoeff's check."""
    check = 0
    for place, digit in enumerate(reversed(number)):
        value = int(digit)
        for _ in range(place % 8):
            value = _VERHOEFF_STEP[value]
        check = _VERHOEFF_PRODUCT[check][value]
    return len(number) == 12 and number[0] not in "01" and check == 0


def weighted(number: str, weights: Sequence[int]) -> int:
    """The sum of digit times weight."""
    return sum(int(digit) * weight for digit, weight in zip(number, weights, strict=False))


CHECKS: dict[str, Callable[[str], bool]] = {
    check.__name__: check
    for check in (
        card, iban, us_ssn, uk_nhs, uk_nino, de_tax_id, fr_nir, es_dni, it_fiscal_code, pl_pesel,
        nl_bsn, br_cpf, ca_sin, au_tfn, in_aadhaar,
    )
}  # fmt: skip
"""The check of each kind of number, by the name that the stage `pii` has for it."""
