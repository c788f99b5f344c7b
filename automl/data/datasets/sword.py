"""Verses from the SWORD project's compressed modules (zText), as packaged by Debian.

Files per testament: .bzs gives the location of each zlib block in .bzz (offset, size, unpacked size), .bzv the block of
each verse and its location in it. Slots are in order of the versification: in two modules with the same versification,
slot i is the same verse; an empty slot is a heading, or a verse missing from the translation.
"""

import re
import struct
import zlib

from automl.data.datasets.files import Files

TESTAMENTS = ("ot", "nt")
# Words added by the translators that end a verb of the original in Spanish, such as "le" in "enviándole".
PRONOUNS = "<transChange[^>]*>(?:la|lo|le|las|los|les|me|te|se|nos|os)</"


def verses(files: Files, module: str) -> list[str]:
    """The text of every slot, without headings, notes and markup; empty if there is none."""
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
    text = re.sub(rf"</?seg[^>]*>|(?<=>)(?=<\w)(?!{PRONOUNS})", " ", text)  # some words have no other space
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", text)).strip()
    return re.sub(r" (?=[,.;:?!)])", "", text)
