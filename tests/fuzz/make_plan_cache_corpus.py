#!/usr/bin/env python3
"""Writes corpus/plan_cache/: small files of convolution plans that reach each branch of the reader.

    python3 tests/fuzz/make_plan_cache_corpus.py
"""
import json
import pathlib

HERE = pathlib.Path(__file__).parent / "corpus" / "plan_cache"
SHAPE = "N64 H32 W32 C64 K64 R3 S3 stride 1x1 padding 1x1 dilation 1x1"
KEY = f"NVIDIA H200; cuDNN 9.19.0; tf32, deterministic; forward {SHAPE}"
FILE = {"format": "understudy convolution plans", "version": 1,
        "plans": {KEY: "library 1 1", KEY.replace("forward", "weight_gradient"): "implicit",
                  KEY.replace("R3 S3", "R1 S1"): "product"}}


def write(name, content):
    HERE.mkdir(parents=True, exist_ok=True)
    data = content if isinstance(content, bytes) else (json.dumps(content) + "\n").encode()
    (HERE / name).write_bytes(data)


write("good", FILE)
write("empty", b"")
write("half", json.dumps(FILE).encode()[:150])
write("nested", b"[" * 3000)
write("nested_in_plans", b'{"format": "understudy convolution plans", "version": 1, "plans": {"a": '
      + b"[" * 3000 + b"]" * 3000 + b"}}")
write("not_an_object", [FILE])
write("another_format", {**FILE, "format": "plans"})
write("another_version", {**FILE, "version": 2})
write("version_is_text", {**FILE, "version": "1"})
write("no_plans", {"format": FILE["format"], "version": 1})
write("plans_are_a_list", {**FILE, "plans": ["library 1 1"]})
write("bad_plans", {**FILE, "plans": {"a": 1, "b": None, "c": "library", "d": "library 1", "e": "",
                                      "f": "library -1 2", "g": "library 1 99999999999",
                                      "h": "library 1 2 3", "i": ["implicit"], "j": "implicit"}})
write("long_key", {**FILE, "plans": {"k" * 1001: "implicit", "k" * 1000: "product", "": "implicit"}})
write("odd_keys", {**FILE, "plans": {"\u0000\u001f\"\\/\u2028\U0001f600": "implicit"}})
write("same_key_twice", b'{"format": "understudy convolution plans", "version": 1, "plans": '
      b'{"a": "implicit", "a": "product"}}')
write("not_utf8", b'{"format": "understudy convolution plans", "version": 1, "plans": '
      b'{"\xff\xfe": "implicit"}}')
