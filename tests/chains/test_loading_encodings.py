import codecs
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chains.loading.base import Unreadable
from chains.loading.encodings import decode, detect

CZECH = "Příliš žluťoučký kůň úpěl ďábelské ódy. Šťastné dítě běželo přes řeku k lesu. " * 3
RUSSIAN = "Съешь же ещё этих мягких французских булок, да выпей чаю. Погода сегодня хорошая. " * 3
JAPANESE = "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。" * 3
FRENCH = "Le café est très agréable à boire l'été; où êtes-vous allés dîner, chère amie ? " * 3
PLAIN = "Plain words, all ASCII.\r\nTwo lines.\n"

TEXTS = st.text(
    st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("\n\r\t\x85\u2028")
)


@given(TEXTS)
def test_utf8_comes_out_as_it_went_in(text: str) -> None:
    assert decode(b"Text: " + text.encode("utf-8")) == "Text: " + text


@given(TEXTS)
def test_a_byte_order_mark_decides_and_is_left_out(text: str) -> None:
    for mark, encoding in [
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
    ]:
        assert decode(mark + ("Text" + text).encode(encoding)) == "Text" + text


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (PLAIN, "ascii"),
        (PLAIN * 5, "utf-16-le"),
        (PLAIN * 5, "utf-16-be"),
        (PLAIN * 5, "utf-32-le"),
        (PLAIN * 5, "utf-32-be"),
        (FRENCH, "cp1252"),
        ("Wir müssen über das Wetter reden.", "cp1252"),
        ("¿Qué pasó? ¡Años después volvió el niño!", "cp1252"),
        ("Årets räksmörgås på ön.", "cp1252"),
        ("“Curly” quotes – and a dash…", "cp1252"),  # noqa: RUF001
        ("Árvíztűrő tükörfúrógép, az őszi idő esős és hűvös.", "cp1250"),
        ("Türkçe öğrenmek istiyorum çünkü ışık güzel, şimdi gidiyorum.", "cp1254"),  # noqa: RUF001
        (CZECH, "cp1250"),
        (CZECH, "iso8859_2"),
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8_r"),
        (JAPANESE, "shift_jis"),
        (JAPANESE, "euc_jp"),
        (JAPANESE, "iso2022_jp"),
        ("A long text with one\x00zero byte in it, no more.", "utf-8"),
    ],
)
def test_texts_without_a_mark_are_told_by_their_bytes(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)) == text


@pytest.mark.parametrize(
    ("data", "reason", "detail"),
    [
        (b"%PDF-1.7\n% some text follows", "binary", "begins like a PDF file"),
        (b"PK\x03\x04 and so on", "binary", "a zip or Office file"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "binary", "a PNG file"),
        (bytes(range(256)) * 20, "binary", "control characters"),
        (b"\x00" * 100, "binary", "control characters"),
        (b"words \x01\x02\x03\x04 words", "binary", "control characters"),
        (codecs.BOM_UTF8 + b"caf\xe9", "undecodable", "looked like utf-8-sig"),
        (codecs.BOM_UTF16_LE + b"a\x00b", "undecodable", "looked like utf-16"),
        (codecs.BOM_UTF16_LE + b"a\x00\x00\xd8b\x00", "undecodable", "looked like utf-16"),
    ],
)
def test_what_is_no_text_is_refused_with_a_reason(data: bytes, reason: str, detail: str) -> None:
    with pytest.raises(Unreadable, match=detail) as raised:
        decode(data)
    assert raised.value.reason == reason


def test_the_beginning_of_a_text_may_end_inside_a_character() -> None:
    assert detect("wörter: ä".encode()[:-1], cut=True) == "utf-8"
    assert detect((PLAIN * 3).encode("utf-16-le")[:51], cut=True) == "utf-16-le"


CODECS = {
    "CP932": "cp932",
    "GB2312": "gb18030",
    "MacCyrillic": "mac_cyrillic",
    "TIS-620": "tis_620",
}


@pytest.mark.slow
def test_files_of_fifty_encodings_are_read_as_their_folder_says(
    test_data: Path, tmp_path: Path
) -> None:
    import tarfile

    with tarfile.open(test_data / "data" / "documents.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    right, wrong = 0, []
    for file in sorted((tmp_path / "documents" / "docs_encodings").glob("*/*")):
        folder = file.parent.name
        codec = CODECS.get(folder, folder)
        if folder.startswith(("iso-8859", "windows")):
            codec = "-".join(codec.split("-")[: 3 if folder.startswith("iso") else 2])
        data = file.read_bytes()
        try:
            expected = data.decode(codec, "replace").removeprefix("\ufeff")
            letters = [char for char in decode(data) if char.isalpha()]
        except (Unreadable, LookupError):
            wrong.append(f"{folder}/{file.name}")
            continue
        if letters == [char for char in expected if char.isalpha()]:
            right += 1
        else:
            wrong.append(f"{folder}/{file.name}")
    assert right / (right + len(wrong)) >= 0.95, wrong
