#!/usr/bin/env python3
"""Writes corpus/image_folder/: small PNG, JPEG and BMP files, good and broken in every way that a
reader must see. The JPEG files are Pillow's (pip install pillow); all others are put together here.

    python3 tests/fuzz/make_image_folder_corpus.py
"""
import io
import pathlib
import struct
import zlib

from PIL import Image

HERE = pathlib.Path(__file__).parent / "corpus" / "image_folder"
H, W = 7, 9


def value(y, x, c):
    """The pixels of every good file; tests/datasets_image_file.cpp has the same formula."""
    return 10 + 11 * x + 8 * y + 45 * c


def pixels(channels):
    return [[[value(y, x, c) for c in range(channels)] for x in range(W)] for y in range(H)]


# ---- PNG ----
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(kind, data=b"", length=None, checksum=None):
    if checksum is None:
        checksum = zlib.crc32(kind + data)
    return struct.pack(">I", len(data) if length is None else length) + kind + data + struct.pack(
        ">I", checksum)


def header(width=W, height=H, depth=8, colour=2, interlace=0):
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace))


def pack_row(row, depth):
    """A row of samples as bytes, behind the filter type 0."""
    samples = [s for pixel in row for s in pixel]
    if depth == 16:
        return b"\0" + b"".join(struct.pack(">H", s) for s in samples)
    if depth == 8:
        return b"\0" + bytes(samples)
    bits = "".join(format(s, f"0{depth}b") for s in samples)
    bits += "0" * (-len(bits) % 8)
    return b"\0" + bytes(int(bits[i:i + 8], 2) for i in range(0, len(bits), 8))


def png(rows, depth=8, colour=2, interlace=0, before=b"", data=None):
    passes = [(0, 0, 1, 1)]
    if interlace:
        passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4),
                  (1, 0, 2, 2), (0, 1, 1, 2)]
    raw = b""
    for x, y, x_step, y_step in passes:
        for row in rows[y::y_step]:
            if row[x::x_step]:
                raw += pack_row(row[x::x_step], depth)
    if data is None:
        data = zlib.compress(raw, 9)
    return (SIGNATURE + header(len(rows[0]), len(rows), depth, colour, interlace) + before +
            chunk(b"IDAT", data) + chunk(b"IEND"))


rgb, grey = pixels(3), pixels(1)
raw = b"".join(pack_row(row, 8) for row in rgb)
packed = zlib.compress(raw, 9)
palette = b"".join(bytes(rgb[y][x]) for y in range(H) for x in range(W))
places = [[[y * W + x] for x in range(W)] for y in range(H)]
whole = png(rgb)
files = {
    "rgb.png": whole,
    "grey.png": png(grey, colour=0),
    "alpha.png": png([[p + [17] for p in row] for row in rgb], colour=6),
    "grey_alpha.png": png([[p + [200] for p in row] for row in grey], colour=4),
    "deep.png": png([[[256 * s + 99 for s in p] for p in row] for row in rgb], depth=16),
    "palette.png": png(places, colour=3, before=chunk(b"PLTE", palette)),
    "palette_alpha.png": png(places, colour=3,
                             before=chunk(b"PLTE", palette) + chunk(b"tRNS", bytes(60))),
    "one_bit.png": png([[[(x + y) % 2] for x in range(W)] for y in range(H)], depth=1, colour=0),
    "interlaced.png": png(rgb, interlace=1),
    "interlaced_dot.png": png([[[1, 2, 3]]], interlace=1),
    "two_parts.png": SIGNATURE + header() + chunk(b"tEXt", b"Comment\0two parts") +
                     chunk(b"IDAT", packed[:20]) + chunk(b"IDAT") + chunk(b"IDAT", packed[20:]) +
                     chunk(b"IEND"),
    "bad_cut.png": whole[:60],
    "bad_no_end.png": whole[:-12],
    "bad_checksum.png": whole[:50] + bytes([whole[50] ^ 1]) + whole[51:],
    "bad_length.png": SIGNATURE + header() + chunk(b"IDAT", packed, length=0x7fffffff),
    "bad_chunk_name.png": SIGNATURE + header() + chunk(b"ID\0T", packed) + chunk(b"IEND"),
    "bad_no_header.png": SIGNATURE + chunk(b"IDAT", packed) + chunk(b"IEND"),
    "bad_two_headers.png": SIGNATURE + header() + header(1, 1) + chunk(b"IDAT", packed) +
                           chunk(b"IEND"),
    "bad_header_size.png": SIGNATURE + chunk(b"IHDR", bytes(12)) + chunk(b"IEND"),
    "bad_critical.png": SIGNATURE + chunk(b"CgBI", bytes(4)) + header() + chunk(b"IEND"),
    "bad_critical_late.png": png(rgb, before=chunk(b"ABCD", b"x")),
    "bad_colour.png": png(rgb, colour=5),
    "bad_depth.png": png(rgb, depth=8).replace(header(), header(depth=3)),
    "bad_interlace.png": whole.replace(header(), header(interlace=2)),
    "bad_no_pixels.png": whole.replace(header(), header(width=0)),
    "bad_huge.png": whole.replace(header(), header(60000, 60000)),
    "bad_large.png": whole.replace(header(), header(16384, 16384)),
    "bad_giant.png": whole.replace(header(), header(0xffffffff, 0xffffffff)),
    "bad_no_data.png": SIGNATURE + header() + chunk(b"IEND"),
    "bad_zlib.png": png(rgb, data=packed[:20] + b"\xff" * 20),
    "bad_adler.png": png(rgb, data=packed[:-1] + bytes([packed[-1] ^ 1])),
    "bad_short_data.png": png(rgb, data=zlib.compress(raw[:-1], 9)),
    "bad_long_data.png": png(rgb, data=zlib.compress(raw + b"\0", 9)),
    "bad_bomb.png": png([[[0]]], colour=0, data=zlib.compress(bytes(1 << 20), 9)),
    "bad_filter.png": png(rgb, data=zlib.compress(b"\x09" + raw[1:], 9)),
    "bad_no_palette.png": png(places, colour=3),
}


# ---- JPEG ----
def jpeg(mode, **options):
    image = Image.new("RGB", (W, H))
    image.putdata([tuple(p) for row in rgb for p in row])
    buffer = io.BytesIO()
    image.convert(mode).save(buffer, "JPEG", **{"quality": 95, "subsampling": 0, **options})
    return buffer.getvalue()


def with_size(contents, width, height):
    at = contents.index(b"\xff\xc0") + 5
    return contents[:at] + struct.pack(">HH", height, width) + contents[at + 4:]


base = jpeg("RGB")
scan = base.index(b"\xff\xda")
tables = base.index(b"\xff\xc4")
files.update({
    "rgb.jpg": base,
    "grey.jpg": jpeg("L"),
    "cmyk.jpg": jpeg("CMYK"),
    "progressive.jpg": jpeg("RGB", progressive=True),
    "subsampled.jpg": jpeg("RGB", subsampling=2),
    "restarts.jpg": jpeg("RGB", restart_marker_blocks=1),
    "bad_cut.jpg": base[:scan + 40],
    "bad_cut_header.jpg": base[:30],
    "bad_no_end.jpg": base[:-2],
    "bad_huge.jpg": with_size(base, 65500, 65500),
    "bad_claim.jpg": with_size(base, 8000, 8000),
    "bad_empty_size.jpg": with_size(base, 0, 9),
    "bad_table.jpg": base.replace(b"\xff\xdb", b"\xff\xdb\x00\x03\x77", 1),
    "damaged_scan.jpg": base[:scan + 14] + b"\xfe" * (len(base) - scan - 16) + b"\xff\xd9",
    "bad_codes.jpg": base[:tables] + b"\xff\xc4\x01\x33\x00" + b"\xff" + bytes(305) + base[tables:],
    "bad_many_codes.jpg": base[:tables] + b"\xff\xc4" + struct.pack(">H", 2 + 17 + 510) +
                          b"\x00" + bytes(14) + b"\xff\xff" + bytes(510) + base[tables:],
    "bad_segment.jpg": base[:tables] + b"\xff\xe1\x00\x01" + base[tables:],
    "bad_no_scan.jpg": base[:scan] + b"\xff\xd9",
})


# ---- BMP ----
def bmp(rows, bits=24, height=None, palette=b"", compression=0, width=W, offset=None):
    start = 54 + len(palette)
    body = b"".join(row + b"\0" * (-len(row) % 4) for row in rows)
    info = struct.pack("<IiiHHIIiiII", 40, width, H if height is None else height, 1, bits,
                       compression, len(body), 2835, 2835, len(palette) // 4, 0)
    return (b"BM" + struct.pack("<IHHI", start + len(body), 0, 0,
                                start if offset is None else offset) + info + palette + body)


bgr = [b"".join(bytes(p[::-1]) for p in row) for row in rgb]
table = b"".join(bytes([*rgb[y][x][::-1], 0]) for y in range(H) for x in range(W))
indices = [bytes(y * W + x for x in range(W)) for y in range(H)]
checks = [pack_row([[(x + y) % 2] for x in range(W)], 1)[1:] for y in range(H)]
picture = bmp(bgr[::-1])
files.update({
    "rgb.bmp": picture,
    "downwards.bmp": bmp(bgr, height=-H),
    "palette.bmp": bmp(indices[::-1], 8, palette=table),
    "one_bit.bmp": bmp(checks[::-1], 1, palette=bytes([0, 0, 0, 0, 255, 255, 255, 0])),
    "bad_cut.bmp": picture[:-30],
    "bad_cut_header.bmp": picture[:20],
    "bad_huge.bmp": bmp(bgr, width=70000),
    "bad_claim.bmp": bmp(bgr, width=8000, height=8000),
    "bad_most_negative.bmp": bmp(bgr, height=-2**31),
    "bad_negative_width.bmp": bmp(bgr, width=-W),
    "bad_compressed.bmp": bmp(indices, 8, palette=table, compression=1),
    "bad_bits.bmp": bmp(bgr, bits=7),
    "bad_offset.bmp": bmp(bgr, offset=0x70000000),
})

# ---- neither ----
files.update({
    "bad_empty": b"",
    "bad_one_byte": b"\x89",
    "bad_picture.gif": b"GIF89a\x01\0\x01\0\0\0\0;",
    "bad_picture.webp": b"RIFF\x1a\0\0\0WEBPVP8L",
    "bad_text.txt": b"no picture\n",
})

HERE.mkdir(parents=True, exist_ok=True)
for name, contents in files.items():
    (HERE / name).write_bytes(contents)
print(f"{len(files)} files, {sum(map(len, files.values()))} bytes")
