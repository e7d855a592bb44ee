#!/usr/bin/env python3
"""Makes the bundled samples of Fashion-MNIST and CIFAR-10 from the full sets.

    python3 datasets/data/make_samples.py DATA_DIR [OUT]

DATA_DIR holds fashion-mnist/ (the four IDX files, gzip) and cifar-10/ (the binary version, an
archive).
Of each class it takes the images whose SHA-256 (over label byte and pixels as in the file) is
smallest, and keeps them in the order of that checksum. So every class has the same number of
images, the classes are mixed, and the choice does not depend on the order of the full set. The same
input gives the same bytes with the same zlib.
"""
import gzip
import hashlib
import io
import pathlib
import struct
import sys
import tarfile

FASHION = {"train": 600, "t10k": 200}  # images per class
CIFAR = {"train": 200, "test": 50}
CIFAR_RECORD = 3073


def choose(records, per_class):
    """The `per_class` records of each class with the smallest checksums, ordered by checksum."""
    ranked = sorted((hashlib.sha256(record).digest(), record) for record in records)
    taken = dict.fromkeys(range(10), 0)
    chosen = []
    for _, record in ranked:
        if taken[record[0]] < per_class:
            taken[record[0]] += 1
            chosen.append(record)
    assert all(n == per_class for n in taken.values()), taken
    return chosen


def write_gzip(path, contents):
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=buffer, mtime=0) as file:
        file.write(contents)
    path.write_bytes(buffer.getvalue())


def fashion(data, out):
    for part, per_class in FASHION.items():
        images = gzip.decompress((data / f"{part}-images-idx3-ubyte.gz").read_bytes())[16:]
        labels = gzip.decompress((data / f"{part}-labels-idx1-ubyte.gz").read_bytes())[8:]
        records = [labels[i:i + 1] + images[784 * i:784 * (i + 1)] for i in range(len(labels))]
        chosen = choose(records, per_class)
        n = len(chosen)
        write_gzip(out / f"{part}-images-idx3-ubyte.gz",
                   struct.pack(">4I", 0x803, n, 28, 28) + b"".join(r[1:] for r in chosen))
        write_gzip(out / f"{part}-labels-idx1-ubyte.gz",
                   struct.pack(">2I", 0x801, n) + b"".join(r[:1] for r in chosen))


def cifar(data, out):
    archive = next(p for p in sorted(data.glob("cifar-10-binary.tar.*")))
    train, test = [], []
    with tarfile.open(archive) as tar:
        for member in tar:
            name = pathlib.PurePath(member.name).name
            if name.endswith(".bin"):
                contents = tar.extractfile(member).read()
                part = test if name == "test_batch.bin" else train
                for i in range(0, len(contents), CIFAR_RECORD):
                    part.append(contents[i:i + CIFAR_RECORD])
    out = out / "cifar-10-batches-bin"
    chosen = choose(train, CIFAR["train"])
    size = len(chosen) // 5
    for i in range(5):
        write_gzip(out / f"data_batch_{i + 1}.bin.gz", b"".join(chosen[size * i:size * (i + 1)]))
    write_gzip(out / "test_batch.bin.gz", b"".join(choose(test, CIFAR["test"])))


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    data = pathlib.Path(sys.argv[1])
    out = pathlib.Path(sys.argv[2]) if len(sys.argv) == 3 else pathlib.Path(__file__).parent
    fashion(data / "fashion-mnist", out / "fashion-mnist")
    cifar(data / "cifar-10", out / "cifar-10")


if __name__ == "__main__":
    main()
