#!/usr/bin/env python3
"""Writes corpus/idx/ and corpus/cifar/: the smallest files that reach each branch of the readers.

    python3 tests/fuzz/make_datasets_corpus.py
"""
import gzip
import io
import lzma
import pathlib
import struct
import tarfile

HERE = pathlib.Path(__file__).parent / "corpus"


def write(folder, files):
    (HERE / folder).mkdir(parents=True, exist_ok=True)
    for name, contents in files.items():
        (HERE / folder / name).write_bytes(contents)


def idx(*sizes, magic=None, values=None):
    count = 1
    for n in sizes:
        count *= n
    if values is None:
        values = bytes(i % 10 for i in range(count))
    return struct.pack(f">{1 + len(sizes)}I", magic or 0x800 + len(sizes), *sizes) + values


def pack(contents):
    return gzip.compress(contents, 9, mtime=0)


def record(label):
    return bytes([label]) + bytes(3072)


def tar(entries):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, contents in entries:
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            info.size = len(contents)
            archive.addfile(info, io.BytesIO(contents))
    return buffer.getvalue()


images, labels = idx(2, 3, 4), idx(5)
write("idx", {
    "images": images,
    "labels": labels,
    "images.gz": pack(images),
    "two_members.gz": pack(images[:9]) + pack(images[9:]),
    "no_items": idx(0, 28, 28),
    "empty": b"",
    "half_header": images[:7],
    "wrong_magic": b"<html>not found</html>",
    "floats": idx(2, magic=0xd01, values=bytes(8)),
    "one_short": images[:-1],
    "one_long": images + b"\0",
    "one_long.gz": pack(images + b"\0"),
    "overflow": idx(0xffffffff, 0xffffffff, 0xffffffff, values=b""),
    "huge": idx(0x80000000, 0x80000000, 1, values=b""),
    "huge.gz": pack(idx(0x80000000, 0x80000000, 1, values=bytes(5000))),
    "cut.gz": pack(images)[:-9],
    "bad_checksum.gz": pack(images)[:-5] + b"\0" + pack(images)[-4:],
    "trailing_bytes.gz": pack(images) + b"x",
})

batches = [(f"data_batch_{i}.bin", record(i)) for i in range(1, 6)]
batches.append(("test_batch.bin", record(7)))
whole = tar([("batches.meta.txt", b"airplane\n")] + batches)
write("cifar", {
    "batch.gz": pack(record(3) + record(9)),
    "short_record.gz": pack(record(3) + record(9)[:-1]),
    "bad_label.gz": pack(record(10)),
    "empty": b"",
    "archive.tar.gz": pack(whole),
    "archive.tar.xz": lzma.compress(whole),
    "missing_batch.tar.gz": pack(tar(batches[1:])),
    "second_batch.tar.gz": pack(tar(batches + batches[:1])),
    "uneven.tar.gz": pack(tar([("data_batch_1.bin", record(1) * 2)] + batches[1:])),
    "short_batch.tar.gz": pack(tar([("data_batch_1.bin", record(1)[:-1])] + batches[1:])),
    "cut.tar.gz": pack(whole)[:-20],
    "cut_tar.gz": pack(whole[:9000]),
    "bad_checksum.tar.gz": pack(whole)[:-5] + b"\0" + pack(whole)[-4:],
    "cut.tar.xz": lzma.compress(whole)[:-20],
})
