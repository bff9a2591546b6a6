"""What a JPEG file announces before anything is decoded (ITU T.81, annex B): how large it is and in how many scans."""

import re

# A marker in entropy-coded data: neither a stuffed zero nor a restart marker.
MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # the others are tables and reserved ones
SCAN, END = 0xDA, 0xD9


def jpeg_size(data: bytes) -> tuple[int, int, int]:
    """
    Pixels and channels that the frame header announces and, between them, scans up to the end of the picture; zeros for
    anything else.

    Each scan of a progressive file goes through the whole picture, so that a small file can cost hours.
    """
    if not data.startswith(b"\xff\xd8\xff"):
        return 0, 0, 0
    pixels = scans = channels = 0
    found = MARKER.search(data, 2)
    while found is not None and data[found.end() - 1] != END:
        at, kind = found.end(), data[found.end() - 1]
        if kind in FRAMES and not pixels:
            pixels = int.from_bytes(data[at + 3 : at + 5], "big") * int.from_bytes(data[at + 5 : at + 7], "big")
            channels = int.from_bytes(data[at + 7 : at + 8], "big")
        scans += kind == SCAN
        found = MARKER.search(data, at + int.from_bytes(data[at : at + 2], "big"))
    return pixels, scans, channels
