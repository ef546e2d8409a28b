import io
import os
import time
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from made_files import MADE, WORDS, docx, eml, pdf, zipped

from chains.loading import SUFFIXES, Limits, Unreadable, sandbox
from chains.loading.loader import FileLoader
from chains.loading.sandbox import Reader

PROBES = Path(__file__).parent / "probing_worker.py"


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    with Reader(Limits(seconds=20)) as reader:
        yield reader


BROKEN = ("truncated", "malformed", "empty", "undecodable", "binary")


def reason_or_text(reader: Reader, data: bytes, name: str) -> str:
    """`text` where a file can be read, else why not."""
    try:
        return "text" if reader.read(data, name).text else "nothing"
    except Unreadable as bad:
        return bad.reason


def why(reader: Reader, data: bytes, name: str) -> tuple[str, str]:
    with pytest.raises(Unreadable) as raised:
        reader.read(data, name)
    return raised.value.reason, raised.value.detail


@pytest.mark.parametrize("name", sorted(MADE))
def test_every_format_gives_its_text_and_parts_that_lie_inside_it(
    reader: Reader, name: str
) -> None:
    reading = reader.read(MADE[name], name)
    assert " ".join(WORDS) in " ".join(reading.text.split())
    assert reading.text == reading.text.strip()
    end = 0
    for part in reading.parts:
        assert end <= part.start < part.end <= len(reading.text)
        assert reading.text[part.start : part.end].strip() == reading.text[part.start : part.end]
        end = part.end


def test_every_binary_format_has_a_made_file() -> None:
    binary = {found.name for found in SUFFIXES.values() if found.binary}
    assert binary - {"msg"} == {SUFFIXES[Path(name).suffix].name for name in MADE}


@pytest.mark.parametrize("name", sorted(MADE))
def test_a_cut_file_is_read_in_part_or_refused_with_one_reason(reader: Reader, name: str) -> None:
    data = MADE[name]
    for size in (1, len(data) // 3, len(data) // 2, len(data) - 30):
        assert reason_or_text(reader, data[:size], name) in {"text", *BROKEN}


def test_the_same_file_reads_the_same_whatever_came_before() -> None:
    with Reader(Limits()) as fresh:
        first = {name: fresh.read(data, name) for name, data in MADE.items()}
    with Reader(Limits()) as other:
        again = {name: other.read(MADE[name], name) for name in reversed(list(MADE))}
    assert again == first


def test_pages_are_numbered_as_they_lie_in_the_file(reader: Reader) -> None:
    reading = reader.read(pdf("First page.", "", "Third page."), "a.pdf")
    found = [(p.label, reading.text[p.start : p.end]) for p in reading.parts]
    assert found == [("1", "First page."), ("3", "Third page.")]
    assert reading.metadata["page_count"] == 3


def test_pages_beyond_the_limit_are_a_fault(tmp_path: Path) -> None:
    with Reader(Limits(pages=2)) as reader:
        reading = reader.read(pdf("One.", "Two.", "Three.", "Four."), "a.pdf")
    assert reading.text == "One.\n\nTwo."
    assert [(f.place, f.reason) for f in reading.faults] == [("page 3", "too_many_pages")]


def test_a_page_that_is_a_picture_is_told_from_an_empty_one(reader: Reader) -> None:
    reading = reader.read(pdf("One.", None, "Three."), "a.pdf")
    assert [(f.place, f.reason) for f in reading.faults] == [("page 2", "scanned")]
    reason, detail = why(reader, pdf(None, None), "a.pdf")
    assert reason == "scanned"
    assert "2 of 2 pages" in detail
    assert "pip install -e '.[ocr]'" in detail
    assert why(reader, pdf("", ""), "a.pdf")[0] == "empty"


def test_an_encrypted_pdf_opens_with_an_empty_password_only(reader: Reader) -> None:
    assert reader.read(pdf("Secret.", password=""), "a.pdf").text == "Secret."
    assert why(reader, pdf("Secret.", password="xyz"), "a.pdf")[0] == "encrypted"


ENTITIES = '<!DOCTYPE d [<!ENTITY a "b"><!ENTITY c SYSTEM "file:///etc/passwd">]><d>&a;&c;</d>'
LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "lol"}">' for n in range(10))
LAUGHS = f"<!DOCTYPE d [{LAUGHS}]><d>&l9;</d>"
BOMB = {"word/document.xml": b"<d>" + b" " * 40_000_000 + b"</d>"}


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.xml", ENTITIES.encode(), "xml_entities"),
        ("a.xml", LAUGHS.encode(), "xml_entities"),
        ("a.xml", ENTITIES.encode("utf-16"), "xml_entities"),
        ("a.docx", zipped({"word/document.xml": ENTITIES.encode()}), "xml_entities"),
        ("a.docx", zipped(BOMB), "zip_bomb"),
        ("a.docx", zipped({f"{n}.xml": b"" for n in range(20_001)}), "zip_bomb"),
        ("a.docx", zipped({"../../evil": b"x", "word/document.xml": b"<d/>"}), "unsafe_member"),
        ("a.xlsx", zipped({"/etc/evil": b"x"}), "unsafe_member"),
        ("a.epub", zipped({"mimetype": b"application/epub+zip"}), "malformed"),
        ("a.docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "encrypted"),
        ("a.docx", docx("Text.")[:-200], "truncated"),
        ("a.pptx", b"no archive", "malformed"),
        ("a.xml", b"<a><b></a>", "malformed"),
        ("a.xml", b"<a>" * 200_000, "malformed"),
        ("a.xml", b"<a>" * 60_000 + b"</a>" * 60_000, "empty malformed crashed"),
        ("a.html", b"<div>" * 200_000, "empty"),
        ("a.rtf", b"plain", "malformed"),
        ("a.pdf", b"plain", "malformed"),
        ("a.pdf", b"%PDF-1.7\n1 0 obj\n<< /Type /Pages", "truncated"),
        ("a.eml", b"no headers at all", "malformed"),
        ("a.msg", b"no message", "malformed"),
    ],
)
def test_what_would_trick_a_parser_is_refused_with_its_reason(
    reader: Reader, name: str, data: bytes, reason: str
) -> None:
    begun = time.monotonic()
    assert why(reader, data, name)[0] in reason.split()
    assert time.monotonic() - begun < 15
    assert reader.read(eml("Still", "working"), "b.eml").text == "# Still\n\nworking"


def test_an_archive_that_lies_about_its_sizes_is_stopped_while_it_unpacks(reader: Reader) -> None:
    data = zipped({"word/document.xml": b"<d>" + b" " * 3_000_000 + b"</d>"})
    real, said = (3_000_007).to_bytes(4, "little"), (500).to_bytes(4, "little")
    assert data.count(real) == 2
    assert why(reader, data.replace(real, said), "a.docx")[0] == "malformed"


def test_a_document_type_without_entities_is_passed_over(reader: Reader) -> None:
    feed = b'<!DOCTYPE rss PUBLIC "-//Netscape//DTD RSS 0.91//EN" "http://example.org/rss.dtd">'
    feed += b"<rss><channel><title>Lawn</title><item><title>Grass is green.</title></item>"
    assert reader.read(feed + b"</channel></rss>", "a.xml").text == "Lawn\nGrass is green."
    inside = zipped({"word/document.xml": b"<!DOCTYPE d><d/>"})
    assert why(reader, inside, "a.docx")[0] == "xml_entities"


def test_pages_that_refer_to_themselves_end(reader: Reader) -> None:
    looping = pdf("One.").replace(b"/Kids [ ", b"/Kids [ 1 0 R ")
    assert looping != pdf("One.")
    begun = time.monotonic()
    assert reason_or_text(reader, looping, "a.pdf") in {"text", "malformed", "truncated"}
    assert time.monotonic() - begun < 30


def packed_twice(drawn: bytes, megabytes: int) -> bytes:
    """A PDF of one page whose content is packed twice, with so many megabytes of spaces behind."""
    packer = zlib.compressobj(9)
    spaces = (packer.compress(b" " * (1 << 20)) for _ in range(megabytes))
    packed = zlib.compress(packer.compress(drawn) + b"".join(spaces) + packer.flush(), 9)
    plain = pdf("One.")
    begin, end = plain.index(b"stream\n") + len(b"stream\n"), plain.index(b"\nendstream")
    head, _, length = plain[:begin].rpartition(b"/Length ")
    rest = length.lstrip(b"0123456789")
    filters = b"/Filter [ /FlateDecode /FlateDecode ] /Length %d" % len(packed)
    return head + filters + rest + packed + plain[end:]


def test_a_page_of_few_bytes_that_unpacks_to_a_gigabyte_is_not_unpacked(reader: Reader) -> None:
    drawn = b"BT /F 12 Tf 9 9 Td (One.) Tj ET"
    assert reader.read(packed_twice(drawn, 1), "a.pdf").text == "One."
    bomb = packed_twice(drawn, 1 << 10)
    assert len(bomb) < 5_000
    begun = time.monotonic()
    assert reason_or_text(reader, bomb, "a.pdf") in {"empty", "malformed", "too_much_memory"}
    assert time.monotonic() - begun < 20
    assert reader.read(pdf("Next."), "b.pdf").text == "Next."


@pytest.mark.parametrize(
    ("task", "reason", "detail"),
    [
        ("sleep", "timed_out", "within 1 seconds"),
        ("spin", "timed_out", "within 1 seconds"),
        ("hoard", "too_much_memory", "MiB"),
        ("segfault", "crashed", "SIGSEGV"),
        ("exit", "crashed", "exit code 3"),
        ("connect", "malformed", "may not use socket.connect"),
        ("resolve", "malformed", "may not use socket.getaddrinfo"),
        ("run", "malformed", "may not use subprocess.Popen"),
        ("write", "malformed", "may not use open"),
        ("recurse", "malformed", "nested too deeply"),
        ("raise", "malformed", "ValueError: two lines"),
        ("print", "", ""),
    ],
)
def test_whatever_a_parser_does_is_one_reason_and_the_next_file_is_read(
    monkeypatch: pytest.MonkeyPatch, task: str, reason: str, detail: str
) -> None:
    monkeypatch.setattr(sandbox, "WORKER", [str(PROBES)])
    monkeypatch.setattr(sandbox, "_GRACE", 1.0)
    monkeypatch.setenv("SECRET", "token")
    with Reader(Limits(seconds=1, memory=600 << 20)) as reader:
        if reason:
            found, said = why(reader, task.encode(), "a.rtf")
            assert (found, detail in said) == (reason, True), said
        else:
            assert reader.read(task.encode(), "a.rtf").text == "printed"
        assert reader.read(b"environment", "a.rtf").text == "PATH only"


def test_plain_text_is_read_without_another_process() -> None:
    with Reader(Limits()) as reader:
        assert reader.read("Grüße".encode(), "a.md").text == "Grüße"
        assert reader._worker is None
        with pytest.raises(Unreadable, match="unsupported_type"):
            reader.read(b"x", "a.bin")


def test_closing_leaves_no_process(reader: Reader) -> None:
    other = Reader(Limits())
    other.read(eml("A", "b"), "a.eml")
    assert other._worker is not None
    pid = other._worker.pid
    other.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_the_langchain_loader_gives_a_document_a_page(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(pdf("One.", "Two."))
    pages = FileLoader(tmp_path / "a.pdf").load()
    assert [(page.page_content, page.metadata["page"]) for page in pages] == [
        ("One.", "1"),
        ("Two.", "2"),
    ]
    (whole,) = FileLoader(tmp_path / "a.pdf", by_part=False).load()
    assert whole.page_content == "One.\n\nTwo."
    assert whole.metadata["page_count"] == 2


def test_an_archive_of_ordinary_size_is_no_bomb() -> None:
    text = "A sentence of a report, said again and again. " * 5000
    assert len(zipfile.ZipFile(io.BytesIO(docx(text))).namelist()) >= 2
    with Reader(Limits()) as reader:
        assert reader.read(docx(text), "a.docx").text == text.strip()
