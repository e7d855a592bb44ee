#!/usr/bin/env python3
"""Writes corpus/code_file/: valid_* must be read as codes, bad_* must be refused.

Needs nothing but Python. The files are in the repository; run this after changing the list:
    python3 tests/fuzz/make_code_file_corpus.py
"""
import pathlib
import struct

from make_safetensors_corpus import entry, pack

FOLDER = pathlib.Path(__file__).parent / "corpus" / "code_file"


def code(metadata, shapes):
    """A file with float tensors of these shapes; the values count up."""
    header, data = {"__metadata__": {f"understudy.{key}": str(value)
                                     for key, value in metadata.items()}}, b""
    for name, shape in shapes.items():
        count = 1
        for size in shape:
            count *= size
        begin = len(data)
        data += struct.pack(f"<{count}f", *(0.01 * i for i in range(count)))
        header[name] = entry("F32", shape, begin, len(data))
    return pack(header, data)


def dense(prefix, *sizes):
    """Layers as PyTorch's nn.Sequential(Linear, ReLU, Linear, ...) names them."""
    shapes = {}
    for i, (inputs, outputs) in enumerate(zip(sizes, sizes[1:])):
        shapes[f"{prefix}{2 * i}.weight"] = [outputs, inputs]
        shapes[f"{prefix}{2 * i}.bias"] = [outputs]
    return shapes


def layers(prefix, *sizes):
    """Layers fc1, fc2, ..."""
    shapes = {}
    for i, (inputs, outputs) in enumerate(zip(sizes, sizes[1:])):
        shapes[f"{prefix}fc{i + 1}.weight"] = [outputs, inputs]
        shapes[f"{prefix}fc{i + 1}.bias"] = [outputs]
    return shapes


IMAGE = {"k": 2, "r": 1, "height": 1, "width": 2, "image_channels": 1, "classes": 2}
LEARNED = {"kind": "learned-code", "encoder": "mlp", "channels": "aligned", **IMAGE}
PARITY = {"kind": "parity-models", "parity_input": "sum", **IMAGE, "base.model": "mlp 2-3-2",
          "base.sha256": "00"}
ENCODER = layers("encoder.", 4, 4, 2)
DECODER = layers("decoder.", 6, 6, 4, 4)
NETWORK = dense("parity0.", 2, 3, 2)


FILES = {
    "valid_mlp": code(LEARNED, ENCODER | DECODER),
    "valid_interleaved": code(LEARNED | {"channels": "interleaved", "image_channels": 3},
                              ENCODER | DECODER),
    "valid_defaults": code(
        {key: value for key, value in LEARNED.items() if key not in ("encoder", "channels")},
        ENCODER | DECODER),
    "valid_mean": code(LEARNED | {"encoder": "mean"}, DECODER),
    "valid_berrut_large_image": code(
        LEARNED | {"encoder": "berrut", "height": 32767, "width": 32767, "image_channels": 32767},
        DECODER),
    "valid_sum": code(PARITY, NETWORK),
    "valid_sum_two_parities": code(PARITY | {"r": 2}, NETWORK | dense("parity1.", 2, 3, 2)),
    "valid_concat": code(PARITY | {"parity_input": "concat"}, NETWORK),
    "valid_concat_odd": code(PARITY | {"parity_input": "concat", "width": 3}, NETWORK),
    "valid_model_of_another_size": code(PARITY | {"width": 3}, NETWORK),
    "valid_logistic": code(PARITY | {"base.model": "logistic 2-2"},
                           {"parity0.weight": [2, 2], "parity0.bias": [2]}),
    "bad_no_metadata": code({}, NETWORK),
    "bad_kind": code(LEARNED | {"kind": "merge"}, ENCODER | DECODER),
    "bad_encoder": code(LEARNED | {"encoder": "sum"}, DECODER),
    "bad_mean_with_encoder": code(LEARNED | {"encoder": "mean"}, ENCODER | DECODER),
    "bad_channels": code(LEARNED | {"channels": "both"}, ENCODER | DECODER),
    "bad_k_zero": code(LEARNED | {"k": 0}, ENCODER | DECODER),
    "bad_k_huge": code(LEARNED | {"k": 2147483647}, ENCODER | DECODER),
    "bad_k_text": code(LEARNED | {"k": "two"}, ENCODER | DECODER),
    "bad_k_over_32_bits": code(LEARNED | {"k": 2**40}, ENCODER | DECODER),
    "bad_r_zero": code(PARITY | {"r": 0}, NETWORK),
    "bad_r_for_the_file": code(PARITY | {"r": 2}, NETWORK),
    "bad_classes_huge": code(LEARNED | {"classes": 2147483647}, ENCODER | DECODER),
    "bad_image_huge": code(LEARNED | {"height": 32768}, ENCODER | DECODER),
    "bad_image_empty": code(LEARNED | {"width": 0}, ENCODER | DECODER),
    "bad_mlp_large_image": code(LEARNED | {"height": 32767, "width": 32767}, ENCODER | DECODER),
    "bad_tensor_missing": code(LEARNED, ENCODER),
    "bad_tensor_more": code(LEARNED, ENCODER | DECODER | {"more": [1]}),
    "bad_tensor_shape": code(LEARNED, ENCODER | DECODER | {"decoder.fc3.bias": [5]}),
    "bad_conv_layers": code(LEARNED | {"encoder": "conv", "k": 1},
                            {"encoder.conv1.weight": [20, 1, 3, 3], "encoder.conv1.bias": [20]}),
    "bad_no_base": code({key: value for key, value in PARITY.items() if key != "base.model"},
                        NETWORK),
    "bad_base_unknown": code(PARITY | {"base.model": "tree 2-2"}, NETWORK),
    "bad_base_huge": code(PARITY | {"base.model": "mlp 2000000000-2000000000-2"}, NETWORK),
    "bad_base_overflow": code(PARITY | {"base.model": "resnet18 1-99999999999-99999999999-2"},
                              NETWORK),
    "bad_base_classes": code(PARITY | {"classes": 3}, NETWORK),
    "bad_parity_input": code(PARITY | {"parity_input": "product"}, NETWORK),
    "bad_no_parity_input": code(
        {key: value for key, value in PARITY.items() if key != "parity_input"}, NETWORK),
    "bad_concat_three": code(PARITY | {"parity_input": "concat", "k": 3}, NETWORK),
    "bad_concat_narrow": code(PARITY | {"parity_input": "concat", "width": 1}, NETWORK),
}

if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for pattern in ("valid_*", "bad_*"):
        for old in FOLDER.glob(pattern):
            old.unlink()
    for name, content in FILES.items():
        (FOLDER / f"{name}.safetensors").write_bytes(content)
    print(f"{len(FILES)} files in {FOLDER}")
