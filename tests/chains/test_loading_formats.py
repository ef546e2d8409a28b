from collections.abc import Callable
from typing import Any

import pytest
from lxml import html as lxml_html
from made_files import epub, odt, pptx, relations, word, xlsx
from made_files import pdf as made_pdf

from chains.loading import Limits, Reading, Unreadable, pdf, read_bytes
from chains.loading.declarations import decode_markup
from chains.loading.markup import tree_text

HEADINGS = (
    '<w:styles xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">'
    '<w:style w:styleId="berschrift2"><w:name w:val="heading 2"/></w:style></w:styles>'
)
RUN = "<w:r><w:t>{}</w:t></w:r>"


def paragraph(text: str, properties: str = "") -> str:
    return f"<w:p><w:pPr>{properties}</w:pPr>{RUN.format(text)}</w:p>"


def cells(*texts: str) -> str:
    return "<w:tr>" + "".join(f"<w:tc>{paragraph(text)}</w:tc>" for text in texts) + "</w:tr>"


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<h2>Leave</h2><p>Ask <b>fi</b>rst.</p>", "## Leave\n\nAsk first."),
        ("<ul><li>One<li><p>Two</p></ul>After", "- One\n- Two\n\nAfter"),
        ("<table><tr><th>Day<th>Hours<tr><td><p>Mo</p><td>8</table>", "Day | Hours\nMo | 8"),
        ("<p>a<!-- b -->c<script>d</script>e</p><style>f</style>", "ace"),
        ("<p>one<br>two  \n three</p>", "one\ntwo three"),
        ("<pre>if x:\n    y</pre>", "if x:\n    y"),
        ("<div><div><div>Deep</div></div></div><div>Next</div>", "Deep\n\nNext"),
        ("<p hidden>no</p><p>yes</p>", "yes"),
        ("<p>&eacute;&#233;&nbsp;e</p>", "éé e"),
    ],
)
def test_what_a_page_shows_becomes_lines(page: str, text: str) -> None:
    assert tree_text(lxml_html.document_fromstring(page)) == text


@pytest.mark.parametrize(
    ("data", "encoding", "text"),
    [
        (b'<meta charset="iso-8859-1">\x80 caf\xe9', "cp1252", "€ café"),
        (
            b'<meta http-equiv="Content-Type" content="text/html; charset=shift_jis">\x93\xfa',
            "cp932",
            "日",
        ),
        (b'<?xml version="1.0" encoding="koi8-r"?><a>\xc4\xc1</a>', "koi8-r", "да"),
        ('<meta charset="iso-8859-1">é'.encode(), "utf-8", "é"),
        ('<meta charset="utf-16">é'.encode(), "utf-8", "é"),
        ('<meta charset="no-such">é'.encode(), "utf-8", "é"),
        (b'<meta charset="utf-7">caf\xe9 cr\xe8me br\xfbl\xe9e', "cp1252", "café crème brûlée"),
        ("\ufeff<meta charset=cp1252>é".encode(), "utf-8-sig", "é"),
    ],
)
def test_a_page_is_decoded_as_it_says_where_that_is_possible(
    data: bytes, encoding: str, text: str
) -> None:
    found, said = decode_markup(data)
    assert text in found
    assert said == encoding


def test_word_keeps_headings_lists_tables_boxes_and_notes_and_leaves_out_what_is_deleted() -> None:
    deleted = "<w:p><w:del><w:r><w:delText>gone</w:delText></w:r></w:del></w:p>"
    moved = f"<w:p><w:moveFrom>{RUN.format('elsewhere')}</w:moveFrom></w:p>"
    inside = f"<w:r><w:txbxContent>{paragraph('Boxed')}</w:txbxContent></w:r>"
    box = f"<w:p>{RUN.format('Beside')}{inside}</w:p>"
    listed = "<w:numPr/>"
    body = (
        paragraph("Rules", '<w:pStyle w:val="berschrift2"/>')
        + paragraph("Badge", listed)
        + paragraph("Key", listed)
        + f"<w:tbl>{cells('Day', 'Hours')}{cells('', '')}{cells('Mo', '8')}</w:tbl>"
        + deleted
        + moved
        + box
        + f"<w:p>{RUN.format('a')}<w:r><w:tab/></w:r><w:ins>{RUN.format('b')}</w:ins></w:p>"
    )
    space = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    notes = f"<w:footnotes {space}><w:footnote>{paragraph('A note')}</w:footnote></w:footnotes>"
    data = word(
        body,
        **{
            "word/_rels/document.xml.rels": relations(
                ("r1", "styles", "styles.xml"), ("r2", "footnotes", "footnotes.xml")
            ),
            "word/styles.xml": HEADINGS,
            "word/footnotes.xml": notes,
        },
    )
    assert read_bytes(data, "a.docx").text == (
        "## Rules\n\n- Badge\n- Key\n\nDay | Hours\nMo | 8\n\nBeside\n\nBoxed\n\na\tb\n\nA note"
    )


def labels(reading: Reading) -> list[tuple[str, str]]:
    return [(part.label, reading.text[part.start : part.end]) for part in reading.parts]


def test_slides_come_in_the_order_they_are_shown() -> None:
    assert labels(read_bytes(pptx("First", "", "Third"), "a.pptx")) == [
        ("1", "First"),
        ("3", "Third"),
    ]


def test_sheets_keep_their_names_and_cells_read_as_they_are_shown() -> None:
    from datetime import date, datetime

    moment = datetime(2024, 2, 1, 8, 5)  # noqa: DTZ001 - sheets know no time zones
    rows = [["City", "Sold", None], [None], ["Paris", 12.0, True], [date(2024, 2, 1), 0.1, None]]
    reading = read_bytes(xlsx(Sales=rows, Empty=[], Log=[[moment]]), "a.xlsx")
    assert labels(reading) == [
        ("Sales", "# Sales\n\nCity | Sold\nParis | 12 | TRUE\n2024-02-01 | 0.1"),
        ("Log", "# Log\n\n2024-02-01 08:05:00"),
    ]


def test_one_cell_far_out_does_not_make_a_sheet_of_all_cells() -> None:
    from io import BytesIO

    from openpyxl import Workbook

    book = Workbook()
    book.worksheets[0].cell(1_048_576, 16_384, "far")
    buffer = BytesIO()
    book.save(buffer)
    assert read_bytes(buffer.getvalue(), "a.xlsx").text.endswith("far")


def test_chapters_are_labelled_by_their_headings() -> None:
    reading = read_bytes(epub("<h2>Down</h2><p>A</p>", "<p>B</p>"), "a.epub")
    assert labels(reading) == [("Down", "## Down\n\nA"), ("2", "B")]
    assert reading.metadata["title"] == "Grass"


def test_opendocument_keeps_lists_tables_and_notes() -> None:
    body = (
        '<text:h text:outline-level="2">Rules</text:h>'
        "<text:p>Ask<text:s/>first<text:note><text:note-citation>1</text:note-citation>"
        "<text:note-body><text:p>now</text:p></text:note-body></text:note>.</text:p>"
        "<text:list><text:list-item><text:p>Badge</text:p></text:list-item></text:list>"
        "<table:table><table:table-row><table:table-cell><text:p>a</text:p></table:table-cell>"
        "<table:table-cell><text:p>b</text:p></table:table-cell></table:table-row></table:table>"
        "<text:tracked-changes><text:p>gone</text:p></text:tracked-changes>"
    )
    assert read_bytes(odt(body), "a.odt").text == "## Rules\n\nAsk first (now).\n\n- Badge\n\na | b"


MAIL = """\
Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=
From: Ana <ana@example.org>
Date: Mon, 4 Mar 2024 10:00:00 +0100
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=X

--X
Content-Type: multipart/alternative; boundary=Y

--Y
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

Caf=E9 at nine.
--Y
Content-Type: text/html

<p>Caf&eacute; at nine.</p>
--Y--
--X
Content-Type: message/rfc822

Subject: Inner

Forwarded words.
--X
Content-Type: application/pdf; name="plan.pdf"
Content-Disposition: attachment; filename="plan.pdf"

JVBERi0=
--X--
"""


def test_a_message_gives_one_form_of_its_text_those_inside_it_and_what_is_attached() -> None:
    reading = read_bytes(MAIL.encode(), "a.eml")
    assert labels(reading) == [
        ("1", "# Grüße\n\nCafé at nine."),
        ("2", "# Inner\n\nForwarded words."),
    ]
    assert reading.metadata == {
        "title": "Grüße",
        "author": "Ana <ana@example.org>",
        "date": "2024-03-04",
    }
    assert [(f.place, f.reason) for f in reading.faults] == [("attachment plan.pdf", "attachment")]


def test_a_page_without_main_text_is_taken_as_it_is_shown() -> None:
    assert read_bytes(b"<body><nav>Home</nav></body>", "a.html").text == "Home"
    with pytest.raises(Unreadable, match="empty: the page shows no text"):
        read_bytes(b"<script>x</script>", "a.html")


@pytest.mark.parametrize(
    ("recognise", "text", "places"),
    [(lambda picture: f"{picture[:4]!r}", "One.\n\nb'\\x89PNG'", []), (None, "One.", ["page 2"])],
)
def test_pictures_of_pages_are_recognised_where_something_can(
    monkeypatch: pytest.MonkeyPatch,
    recognise: Callable[[Any], str] | None,
    text: str,
    places: list[str],
) -> None:
    monkeypatch.setattr(pdf, "open_recognise", lambda: recognise)
    reading = pdf.read_pdf(made_pdf("One.", None), Limits())
    assert reading.text == text
    assert [fault.place for fault in reading.faults] == places


def test_what_is_quoted_of_a_damaged_file_is_cut() -> None:
    data = bytearray(epub("<p>One</p>" * 900))
    length = data.index(b"META-INF/container.xml") - 30 + 26  # of that name in its local header
    data[length : length + 2] = (900).to_bytes(2, "little")
    with pytest.raises(
        Unreadable, match=r"malformed: 'META-INF/container.xml' is damaged"
    ) as caught:
        read_bytes(bytes(data), "a.epub")
    assert len(caught.value.detail) == 500
    assert caught.value.detail.endswith("...")
