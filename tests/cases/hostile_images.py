"""Image files that are small on disk and large once decoded, or that keep a decoder busy; by hand or by PIL."""

import io
import struct
import zlib
from collections.abc import Callable

from PIL import Image

# Side of the bombs in tests: what each pixel costs is what is measured.
SIDE = 1200


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_file(width: int, height: int, depth: int, colour: int, body: bytes, extra: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + extra
    return start + png_chunk(b"IDAT", body) + png_chunk(b"IEND", b"")


def huge_png(width: int, height: int) -> bytes:
    """A PNG that says it has width × height pixels, without them."""
    return png_file(width, height, 8, 2, zlib.compress(b"\0"))


def flat_png(width: int, height: int, depth: int, colour: int, palette: bytes = b"") -> bytes:
    """A PNG of zeros; `colour` as the standard numbers it: 0 grey, 2 RGB, 3 palette, 6 RGBA."""
    line = b"\0" * (1 + (width * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour] * depth + 7) // 8)
    extra = png_chunk(b"PLTE", palette[:3]) + png_chunk(b"tRNS", b"\0") if palette else b""
    return png_file(width, height, depth, colour, zlib.compress(line * height, 9), extra)


def saved(mode: str, format: str, side: int = SIDE, **options: object) -> bytes:
    """An empty picture of side × side as PIL writes it."""
    buffer = io.BytesIO()
    Image.new(mode, (side, side)).save(buffer, format, **options)
    return buffer.getvalue()


def turned_jpeg() -> bytes:
    exif = Image.Exif()
    exif[274] = 6
    return saved("RGB", "JPEG", exif=exif, comment=b"x" * 65_000)


def many_scans_jpeg(scans: int = 300, side: int = 4096) -> bytes:
    """A progressive JPEG whose last scan is repeated; each goes through the whole picture."""
    data = saved("L", "JPEG", side, progressive=True)
    start = data.rindex(b"\xff\xda")
    return data[:start] + data[start:-2] * scans + data[-2:]


def tiled_tiff(tile: int = 10_240, side: int = 64) -> bytes:
    """A picture of 64 pixels a side in a deflated tile of 10,240 a side, three bytes a pixel."""
    squeeze = zlib.compressobj(1)
    body = b"".join(squeeze.compress(b"\0" * (tile * 3)) for _ in range(tile)) + squeeze.flush()
    tags = [
        *((256, 4, side), (257, 4, side), (258, 3, 8), (259, 3, 8), (262, 3, 2), (277, 3, 3)),
        *((322, 4, tile), (323, 4, tile), (324, 4, 0), (325, 4, len(body))),
    ]
    offset = 8 + 2 + 12 * len(tags) + 4
    entries = b"".join(
        struct.pack("<HHI", tag, kind, 1) + struct.pack("<I", offset if tag == 324 else value)
        for tag, kind, value in tags
    )
    return b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(tags)) + entries + b"\0" * 4 + body


def icon_with_png(side: int = 2048) -> bytes:
    """An icon that says it has 16 pixels a side and holds a PNG of 2,048."""
    body = flat_png(side, side, 8, 6)
    return struct.pack("<HHH", 0, 1, 1) + struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 32, len(body), 22) + body


def lying_jp2() -> bytes:
    """JPEG 2000 whose box says 64 pixels a side, around a larger code stream."""
    data = bytearray(saved("L", "JPEG2000"))
    at = data.index(b"ihdr") + 4
    data[at : at + 8] = struct.pack(">II", 64, 64)
    return bytes(data)


# Name → the file, whose pixels are read one and all.
BOMBS: dict[str, Callable[[], bytes]] = {
    "grey16.png": lambda: flat_png(SIDE, SIDE, 16, 0),
    "rgb16.png": lambda: flat_png(SIDE, SIDE, 16, 2),
    "rgba16.png": lambda: flat_png(SIDE, SIDE, 16, 6),
    "palette.png": lambda: flat_png(SIDE, SIDE, 1, 3, b"\0\0\0"),
    "float.tif": lambda: saved("F", "TIFF", compression="tiff_adobe_deflate"),
    "int32.tif": lambda: saved("I", "TIFF", compression="tiff_adobe_deflate"),
    "cmyk.tif": lambda: saved("CMYK", "TIFF", compression="tiff_adobe_deflate"),
    "turned.jpg": turned_jpeg,
    "progressive.jpg": lambda: saved("RGB", "JPEG", progressive=True, subsampling=0, comment=b"x" * 65_000),
    "flat.jp2": lambda: saved("RGBA", "JPEG2000"),
    "flat.gif": lambda: saved("P", "GIF"),
    "flat.bmp": lambda: saved("1", "BMP"),
    "flat.webp": lambda: saved("RGBA", "WEBP", quality=0, method=0),
    "flat.avif": lambda: saved("RGBA", "AVIF", speed=10, subsampling="4:4:4"),
}
# Name → the file, and what is said instead of reading it.
REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "scans.jpg": (many_scans_jpeg, "scans are too many"),
    "tile.tif": (tiled_tiff, "tiles of 104 million pixels are too large"),
    "icon.ico": (icon_with_png, "too large for an icon"),
    "lying.jp2": (lying_jp2, "broken"),
}


def of_other_formats() -> dict[str, bytes]:
    """Files of formats that PIL knows and we do not open, all of which it can tell by their first bytes."""
    picture = Image.new("RGB", (64, 64), "red")
    files = {}
    for format in ("EPS", "ICNS", "PCX", "SGI", "IM", "DDS", "SPIDER", "QOI", "MSP", "XBM"):
        buffer = io.BytesIO()
        mode = {"MSP": "1", "XBM": "1", "SPIDER": "F"}.get(format, "RGB")
        picture.convert(mode).save(buffer, format)
        files[format] = buffer.getvalue()
    files["PS"] = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n(/etc/passwd) run showpage\n"
    files["PSD"] = b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 64, 64, 8, 3) + bytes(14 + 3 * 64 * 64)
    files["FLI"] = struct.pack("<IHHHHHHI", 128, 0xAF11, 1, 64, 64, 8, 3, 5) + b"\0" * 108
    files["WMF"] = (
        b"\xd7\xcd\xc6\x9a\0\0" + struct.pack("<hhhhH", 0, 0, 64, 64, 72) + bytes(6) + b"\1\0\x09\0" + bytes(64)
    )
    files["EMF"] = b"\1\0\0\0" + struct.pack("<I", 88) + struct.pack("<8i", *(0, 0, 64, 64) * 2) + b" EMF" + b"\0" * 64
    return files
