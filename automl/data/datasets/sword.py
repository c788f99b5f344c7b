"""Verses out of the compressed modules (zText) of the SWORD project, as Debian packages them.

Files of one testament: .bzs tells where in .bzz each block of zlib data lies (offset, size, unpacked size), .bzv in
which block each verse lies and where in it. Slots are in the order of the versification: of two modules with the same
one, slot i is the same verse; a slot without text is a heading, or a verse that the translation lacks.
"""

import re
import struct
import zlib

from automl.data.datasets.files import Files

TESTAMENTS = ("ot", "nt")


def verses(files: Files, module: str) -> list[str]:
    """The text of every slot, without headings, notes and markup; empty where there is none."""
    found = []
    for testament in TESTAMENTS:
        blocks_at, verses_at, packed = (
            files.read(f"sword/{module}/{testament}.{ending}") for ending in ("bzs", "bzv", "bzz")
        )
        blocks = [zlib.decompress(packed[at : at + size]) for at, size, _ in struct.iter_unpack("<III", blocks_at)]
        found += [blocks[block][at : at + size].decode() for block, at, size in struct.iter_unpack("<IIH", verses_at)]
    return [plain(verse) for verse in found]


def plain(verse: str) -> str:
    """OSIS markup to plain text."""
    text = re.sub(r"<note.*?</note>|<title.*?</title>|¶", "", verse, flags=re.DOTALL)
    text = re.sub(r"</?seg[^>]*>", " ", text)  # some words have no other space around them
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", text)).strip()
    return re.sub(r" (?=[,.;:?!)])", "", text)
