"""Small files of each format, made here so that tests need no data."""

import io
import zipfile
from collections.abc import Mapping

from pypdf import PdfWriter
from pypdf.generic import (
    DecodedStreamObject,
    DictionaryObject,
    NameObject,
    NumberObject,
)

WORDS = ["Grass", "is", "green", "today"]
TEXT = " ".join(WORDS)
_REL = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
_W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_A = "http://schemas.openxmlformats.org/drawingml/2006/main"
_P = "http://schemas.openxmlformats.org/presentationml/2006/main"


def zipped(members: Mapping[str, bytes | str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def relations(*found: tuple[str, str, str]) -> str:
    items = "".join(
        f'<Relationship Id="{identity}" Type="{_REL}/{kind}" Target="{target}"/>'
        for identity, kind, target in found
    )
    return f'<Relationships xmlns="{_PACKAGE}">{items}</Relationships>'


def word(body: str, **members: str) -> bytes:
    return zipped(
        {
            "_rels/.rels": relations(("r1", "officeDocument", "word/document.xml")),
            "word/document.xml": f'<w:document xmlns:w="{_W}"><w:body>{body}</w:body></w:document>',
            **members,
        }
    )


def docx(text: str) -> bytes:
    return word(f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>")


def pptx(*slides: str) -> bytes:
    ids = "".join(f'<p:sldId id="{256 + n}" r:id="r{n}"/>' for n in range(len(slides)))
    members = {
        "_rels/.rels": relations(("r1", "officeDocument", "ppt/presentation.xml")),
        "ppt/presentation.xml": f'<p:presentation xmlns:p="{_P}" xmlns:r="{_REL}">'
        f"<p:sldIdLst>{ids}</p:sldIdLst></p:presentation>",
        # numbered backwards in the archive: the list of slides decides
        "ppt/_rels/presentation.xml.rels": relations(
            *((f"r{n}", "slide", f"slides/s{len(slides) - n}.xml") for n in range(len(slides)))
        ),
    }
    for n, text in enumerate(slides):
        members[f"ppt/slides/s{len(slides) - n}.xml"] = (
            f'<p:sld xmlns:p="{_P}" xmlns:a="{_A}"><p:cSld><p:spTree><p:sp><p:txBody><a:p><a:r>'
            f"<a:t>{text}</a:t></a:r></a:p></p:txBody></p:sp></p:spTree></p:cSld></p:sld>"
        )
    return zipped(members)


def xlsx(**sheets: list[list[object]]) -> bytes:
    from openpyxl import Workbook

    book = Workbook()
    book.remove(book.worksheets[0])
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def odt(body: str) -> bytes:
    office = "urn:oasis:names:tc:opendocument:xmlns"
    spaces = f'xmlns:office="{office}:office:1.0" xmlns:text="{office}:text:1.0"'
    spaces += f' xmlns:table="{office}:table:1.0"'
    content = f"<office:body><office:text>{body}</office:text></office:body>"
    document = f"<office:document-content {spaces}>{content}</office:document-content>"
    return zipped({"content.xml": document})


def epub(*chapters: str) -> bytes:
    items = "".join(
        f'<item id="c{n}" href="c%20{n}.xhtml" media-type="application/xhtml+xml"/>'
        for n in range(len(chapters))
    )
    spine = "".join(f'<itemref idref="c{n}"/>' for n in range(len(chapters)))
    opf = "http://www.idpf.org/2007/opf"
    container = "urn:oasis:names:tc:opendocument:xmlns:container"
    members = {
        "META-INF/container.xml": f'<container xmlns="{container}"><rootfiles>'
        '<rootfile full-path="OEBPS/book.opf"/></rootfiles></container>',
        "OEBPS/book.opf": f'<package xmlns="{opf}"><metadata xmlns:dc="x"><dc:title>Grass'
        f"</dc:title></metadata><manifest>{items}</manifest><spine>{spine}</spine></package>",
    }
    for n, body in enumerate(chapters):
        page = f"<!DOCTYPE html><html><head><title>No</title></head><body>{body}</body></html>"
        members[f"OEBPS/c {n}.xhtml"] = page
    return zipped(members)


def eml(subject: str, body: str) -> bytes:
    return f"Subject: {subject}\r\nFrom: a@example.org\r\n\r\n{body}\r\n".encode()


def pdf(*pages: str | None, password: str | None = None) -> bytes:
    """A PDF; None stands for a page that is a picture."""
    writer = PdfWriter()
    for text in pages:
        page = writer.add_blank_page(300, 300)
        font = DictionaryObject(
            {
                NameObject("/Type"): NameObject("/Font"),
                NameObject("/Subtype"): NameObject("/Type1"),
                NameObject("/BaseFont"): NameObject("/Helvetica"),
            }
        )
        resources = DictionaryObject(
            {NameObject("/Font"): DictionaryObject({NameObject("/F"): font})}
        )
        if text is None:
            picture = DecodedStreamObject()
            picture.set_data(bytes(400 * 400))
            for key, value in (("Width", 400), ("Height", 400), ("BitsPerComponent", 8)):
                picture[NameObject(f"/{key}")] = NumberObject(value)
            picture[NameObject("/Subtype")] = NameObject("/Image")
            picture[NameObject("/ColorSpace")] = NameObject("/DeviceGray")
            things = DictionaryObject({NameObject("/P"): writer._add_object(picture)})
            resources[NameObject("/XObject")] = things
        page[NameObject("/Resources")] = resources
        content = DecodedStreamObject()
        drawn = (
            "q 300 0 0 300 0 0 cm /P Do Q" if text is None else f"BT /F 12 Tf 9 9 Td ({text}) Tj ET"
        )
        content.set_data(drawn.encode("latin-1"))
        page[NameObject("/Contents")] = writer._add_object(content)
    if password is not None:
        writer.encrypt(password, algorithm="AES-256")
    buffer = io.BytesIO()
    writer.write(buffer)
    return buffer.getvalue()


_PAGE = f"<html><body><article><h1>Lawn</h1><p>{TEXT}</p></article></body></html>"

MADE = {
    "a.html": _PAGE.encode(),
    "a.pdf": pdf(TEXT, "More of it."),
    "a.docx": docx(TEXT),
    "a.pptx": pptx(TEXT, "More of it."),
    "a.xlsx": xlsx(Lawn=[[TEXT, 2]], Meadow=[["More", None, 1.5]]),
    "a.odt": odt(f"<text:h>Lawn</text:h><text:p>{TEXT}</text:p>"),
    "a.rtf": f"{{\\rtf1\\ansi {TEXT} \\b bold\\b0}}".encode(),
    "a.epub": epub(f"<h1>One</h1><p>{TEXT}</p>", "<p>More of it.</p>"),
    "a.eml": eml("Lawn", TEXT),
    "a.xml": f"<lawn><p>{TEXT}</p></lawn>".encode(),
}
"""Name -> bytes of a file that holds WORDS."""
