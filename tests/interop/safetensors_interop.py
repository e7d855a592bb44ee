#!/usr/bin/env python3
"""Exchanges files with the reference implementation: pip's safetensors, through PyTorch.

    safetensors_interop.py PATH_TO_safetensors_interop

Runs in the Python that the environment variable UNDERSTUDY_PYTHON names, else in this one. Exits 77
(skipped) with the reason where that has no torch or no safetensors.
"""
import math
import pathlib
import subprocess
import sys
import tempfile

import with_pytorch  # noqa: F401
import safetensors
import safetensors.torch
import torch

CORPUS = pathlib.Path(__file__).resolve().parent.parent / "fuzz" / "corpus" / "safetensors"

PROGRAM = sys.argv[1]
TYPE_NAMES = {torch.float32: "float32", torch.float64: "float64", torch.uint8: "uint8",
              torch.int32: "int32", torch.int64: "int64",
              torch.float16: "float32", torch.bfloat16: "float32"}  # as we read them
MLP_SHAPES = {"0.weight": (200, 784), "0.bias": (200,), "2.weight": (100, 200), "2.bias": (100,),
              "4.weight": (10, 100), "4.bias": (10,)}
failures = []


def expect(condition, what):
    if not condition:
        failures.append(what)
        print(f"FAILED: {what}")


def same_bits(a, b):
    return (a.dtype == b.dtype and a.shape == b.shape and
            a.contiguous().numpy().tobytes() == b.contiguous().numpy().tobytes())


def run(*arguments):
    return subprocess.run([PROGRAM, *map(str, arguments)], check=True, capture_output=True,
                          encoding="utf-8").stdout


def listed(path):
    """(name, type, shape, elements) of each tensor that our program finds, all as text."""
    for line in run("list", path).split("\n"):
        if line and not line.startswith("metadata "):
            head, _, elements = line.partition("):")
            yield *(head + ")").rsplit(" ", 2), elements.split()


def python_reads_ours(folder):
    path = folder / "ours.safetensors"
    run("write", path)
    found = safetensors.torch.load_file(path)
    f32 = torch.tensor([[1.5, -0.0, 3e-39], [-math.inf, 2, 4]])
    expected = {
        "u8": torch.tensor([0, 1, 127, 255, 7], dtype=torch.uint8),
        "f32": f32,
        "f64": torch.tensor([[0.1, -1e300], [math.inf, 5e-324]], dtype=torch.float64),
        "i32": torch.tensor([-2**31, -1, 2**31 - 1], dtype=torch.int32),
        "i64": torch.tensor([[-2**63], [2**63 - 1]]),
        "scalar.i64": torch.tensor(9007199254740993),
        "scalar.f32": torch.tensor(0.1),
        "empty": torch.zeros(0, 3),
        "strided": f32.T,
    }
    names = set(expected) | {"mlp." + name for name in MLP_SHAPES}
    expect(set(found) == names, f"names {sorted(found)}")
    for name, value in expected.items():
        expect(name in found and same_bits(found[name], value), f"our {name} read by Python")
    mlp = torch.nn.Sequential(torch.nn.Linear(784, 200), torch.nn.ReLU(), torch.nn.Linear(200, 100),
                              torch.nn.ReLU(), torch.nn.Linear(100, 10))
    mlp.load_state_dict({k.removeprefix("mlp."): v for k, v in found.items() if k.startswith("mlp.")})
    with safetensors.safe_open(path, framework="pt") as file:
        expect(file.metadata() == {"format": "pt", "note": 'line one\nline "two" \u00fc'},
               f"our metadata read by Python: {file.metadata()}")


def theirs():
    torch.manual_seed(3)
    every_half = torch.arange(2**16, dtype=torch.int32).to(torch.int16)
    tensors = {
        "f64": torch.randn(3, 4, dtype=torch.float64),
        "i32": torch.tensor([[-2**31, 2**31 - 1]], dtype=torch.int32),
        "i64": torch.tensor([2**63 - 1, -2**63]),
        "u8": torch.arange(256, dtype=torch.uint8).reshape(16, 16),
        "every_f16": every_half.view(torch.float16),
        "every_bf16": every_half.clone().view(torch.bfloat16),
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(2, 0, 5),
        "one_element_of_each_axis": torch.ones(1, 1, 1, 1, 1, 1),
        "\u00fcml\u00e4ut/\"quoted\"": torch.tensor([1.0]),
    }
    for name, shape in MLP_SHAPES.items():
        tensors[name] = torch.randn(shape)
    return tensors


def we_read_theirs(folder):
    path = folder / "theirs.safetensors"
    tensors = theirs()
    safetensors.torch.save_file(tensors, path, metadata={"format": "pt", "n": "\u00fc"})
    seen = set()
    metadata = [line for line in run("list", path).split("\n") if line.startswith("metadata ")]
    expect(metadata == ["metadata format 2", "metadata n 2"], f"their metadata: {metadata}")
    for name, dtype, shape, elements in listed(path):
        tensor = tensors[name]
        seen.add(name)
        expect(dtype == TYPE_NAMES[tensor.dtype], f"{name}: {dtype}")
        expect(shape == "(" + ",".join(map(str, tensor.shape)) + ")", f"{name}: {shape}")
        values = tensor.flatten().tolist()
        if tensor.is_floating_point():
            read = [float.fromhex(text) for text in elements]
            same = [a == b and math.copysign(1, a) == math.copysign(1, b) or a != a and b != b
                    for a, b in zip(read, values)]
        else:
            same = [int(a) == b for a, b in zip(elements, values)]
        expect(len(same) == len(values) == len(elements) and all(same),
               f"{name}: elements differ")
    expect(seen == set(tensors), f"names {sorted(seen)}")

    # And back: the same bits, 16-bit floats widened.
    run("rewrite", path, folder / "again.safetensors")
    again = safetensors.torch.load_file(folder / "again.safetensors")
    for name, tensor in tensors.items():
        if tensor.dtype in (torch.float16, torch.bfloat16):
            numbers = ~tensor.isnan()
            expect(torch.equal(again[name][numbers], tensor.float()[numbers]) and
                   bool(again[name][~numbers].isnan().all()), f"{name} written again")
        else:
            expect(same_bits(again[name], tensor), f"{name} written again")


def corpus_agrees():
    """Whatever we accept the reference accepts too, with the same names."""
    for path in sorted(CORPUS.glob("valid_*")):
        ours = [name for name, *_ in listed(path)]
        expect(sorted(ours) == sorted(safetensors.torch.load_file(path)), f"{path.name}: names")


with tempfile.TemporaryDirectory() as name:
    python_reads_ours(pathlib.Path(name))
    we_read_theirs(pathlib.Path(name))
corpus_agrees()
print(f"torch {torch.__version__}, safetensors {safetensors.__version__}: "
      f"{'all agree' if not failures else f'{len(failures)} failed'}")
sys.exit(1 if failures else 0)
