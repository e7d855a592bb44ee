#!/usr/bin/env python3
"""Writes corpus/safetensors/: valid_* must be read, bad_* must be refused.

Needs nothing but Python. The files are in the repository; run this after changing the list:
    python3 tests/fuzz/make_safetensors_corpus.py
The found_* beside them came from the fuzzer, one for each outcome that these do not have; they are
left alone.
"""
import json
import pathlib
import struct

FOLDER = pathlib.Path(__file__).parent / "corpus" / "safetensors"


def entry(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def pack(header, data=b"", length=None):
    """The bytes of a file. `header`: text, bytes, or an object to be written as JSON."""
    if isinstance(header, dict):
        header = json.dumps(header)
    if isinstance(header, str):
        header = header.encode()
    return struct.pack("<Q", len(header) if length is None else length) + header + data


F32 = struct.pack("<4f", 1.0, -2.5, 0.0, 3.25)
ONE = entry("F32", [2, 2], 0, 16)
A = '"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}'
HALVES = struct.pack("<8H", 0x0000, 0x8000, 0x3C00, 0x0001, 0x83FF, 0x7BFF, 0x7C00, 0x7E01)

FILES = {
    "valid_one": pack({"a": ONE}, F32),
    "valid_no_tensors": pack("{}"),
    "valid_metadata_only": pack({"__metadata__": {"format": "pt", "\u00fcber": "a\nb"}}),
    "valid_padding": pack(json.dumps({"a": ONE}) + "     ", F32),
    "valid_scalar_and_empty": pack(
        {"e": entry("F32", [0, 3], 0, 0), "s": entry("I64", [], 0, 8)}, struct.pack("<q", -(2**62))),
    "valid_every_type": pack(
        {"i64": entry("I64", [1], 0, 8), "f64": entry("F64", [1], 8, 16),
         "f32": entry("F32", [1], 16, 20), "i32": entry("I32", [1], 20, 24),
         "f16": entry("F16", [8], 24, 40), "bf16": entry("BF16", [8], 40, 56),
         "u8": entry("U8", [3], 56, 59)},
        struct.pack("<qdfi", -1, 0.1, 0.2, -7) + HALVES + HALVES + b"\x00\x7f\xff"),
    "valid_header_out_of_order": pack(
        {"b": entry("U8", [1], 1, 2), "a": entry("U8", [1], 0, 1)}, b"ab"),
    "valid_nan_bits": pack({"a": entry("F32", [2], 0, 8)}, struct.pack("<II", 0x7F800001, 0xFFC00000)),
    "bad_empty_file": b"",
    "bad_seven_bytes": b"\x02\0\0\0\0\0\0",
    "bad_header_longer_than_file": pack({"a": ONE}, F32, length=4096),
    "bad_header_length_huge": pack("{}", length=2**64 - 1),
    "bad_header_over_limit": pack("{}", length=100_000_001),
    "bad_header_length_zero": pack(""),
    "bad_not_json": pack('{"a":'),
    "bad_starts_with_space": pack(" {}"),
    "bad_array_header": pack("[]"),
    "bad_after_object": pack("{} x"),
    "bad_nul_after_object": pack("{}\0"),
    "bad_utf8": pack(b'{"\xff\xfe":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}'),
    "bad_deep_nesting": pack('{"a":' + "[" * 3000 + "]" * 3000 + "}"),
    "bad_deep_objects": pack('{"a":' * 3000 + "1" + "}" * 3000),
    "bad_unknown_type": pack({"a": entry("F8_E4M3", [2, 2], 0, 16)}, F32),
    "bad_type_not_string": pack({"a": entry(32, [2, 2], 0, 16)}, F32),
    "bad_missing_shape": pack('{"a":{"dtype":"U8","data_offsets":[0,0]}}'),
    "bad_extra_field": pack({"a": {**ONE, "stride": [2, 1]}}, F32),
    "bad_negative_size": pack({"a": entry("F32", [-2, -2], 0, 16)}, F32),
    "bad_fractional_size": pack('{"a":{"dtype":"F32","shape":[2.0,2],"data_offsets":[0,16]}}', F32),
    "bad_size_over_64_bits": pack({"a": entry("U8", [2**64], 0, 16)}, F32),
    "bad_size_overflow": pack({"a": entry("F32", [2**32, 2**32], 0, 16)}, F32),
    "bad_size_overflow_empty": pack({"a": entry("F32", [0, 2**40, 2**40], 0, 0)}),
    "bad_seven_axes": pack({"a": entry("U8", [1] * 7, 0, 1)}, b"a"),
    "bad_one_offset": pack('{"a":{"dtype":"F32","shape":[2,2],"data_offsets":[16]}}', F32),
    "bad_three_offsets": pack('{"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16,16]}}', F32),
    "bad_offsets_backwards": pack({"a": entry("F32", [2, 2], 16, 0)}, F32),
    "bad_offsets_outside": pack({"a": entry("F32", [1024], 0, 4096)}, F32),
    "bad_offsets_wrong_size": pack({"a": entry("F32", [3], 0, 16)}, F32),
    "bad_overlap": pack({"a": ONE, "b": ONE}, F32),
    "bad_hole": pack({"a": entry("F32", [1], 0, 4), "b": entry("F32", [2], 8, 16)}, F32),
    "bad_hole_at_start": pack({"a": entry("F32", [3], 4, 16)}, F32),
    "bad_bytes_left_over": pack({"a": ONE}, F32 + b"\0"),
    "bad_truncated_data": pack({"a": ONE}, F32[:-1]),
    "bad_repeated_name": pack("{" + A + "," + A + "}", F32),
    "bad_repeated_field": pack('{"a":{"dtype":"F32","dtype":"F32","shape":[2,2],"data_offsets":[0,16]}}', F32),
    "bad_repeated_metadata": pack('{"__metadata__":{"k":"1","k":"2"}}'),
    "bad_metadata_twice": pack('{"__metadata__":{},"__metadata__":{}}'),
    "bad_metadata_number": pack({"__metadata__": {"epoch": 3}}),
    "bad_metadata_nested": pack({"__metadata__": {"config": {"k": "2"}}}),
    "bad_metadata_null": pack({"__metadata__": None}),
}

if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for pattern in ("valid_*", "bad_*"):
        for old in FOLDER.glob(pattern):
            old.unlink()
    for name, content in FILES.items():
        (FOLDER / f"{name}.safetensors").write_bytes(content)
    print(f"{len(FILES)} files in {FOLDER}")
