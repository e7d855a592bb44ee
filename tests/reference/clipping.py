"""Writes clipping.h: torch.nn.utils.clip_grad_norm_ on gradients from the formula in gradient().
Run: python3 clipping.py > clipping.h   (needs torch)"""
import torch

LIMITS = [0.5, 4.0, 100.0]
SIZES = [6, 4]


def gradient(which, i):
    return ((7 * i + 13 * (which + 1)) % 17 - 8) / 8


def main():
    print(f"// Made by clipping.py with PyTorch {torch.__version__.split('+')[0]}.")
    print("// clang-format off\n#pragma once\n\nnamespace reference {\n")
    print("struct ClippingCase {\n  double limit, norm;\n  double first[6], second[4];\n};\n")
    print(f"inline constexpr ClippingCase clipping_cases[{len(LIMITS)}] = {{")
    for limit in LIMITS:
        parameters = []
        for which, size in enumerate(SIZES):
            p = torch.zeros(size, dtype=torch.float64, requires_grad=True)
            p.grad = torch.tensor([gradient(which, i) for i in range(size)], dtype=torch.float64)
            parameters.append(p)
        norm = float(torch.nn.utils.clip_grad_norm_(parameters, limit))
        rows = ["{" + ", ".join(f"{v:.17g}" for v in p.grad.tolist()) + "}" for p in parameters]
        print(f"  {{{limit}, {norm:.17g},\n   {rows[0]},\n   {rows[1]}}},")
    print("};\n\n}  // namespace reference")


main()
