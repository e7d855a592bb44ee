"""Writes optimizers.h: what PyTorch's optimisers make of parameters and gradients that both sides
compute from the same formulas. Run: python3 optimizers.py > optimizers.h   (needs torch)"""
import torch

STEPS = 12
KEPT = [1, 2, 6, 12]  # stored after these updates
COUNT = 6

# name of the constructor, options: what tests/engine_optim.cpp builds from
CASES = [
    ("sgd", dict(lr=0.1)),
    ("sgd", dict(lr=0.1, weight_decay=0.05)),
    ("sgd", dict(lr=0.05, momentum=0.9)),
    ("sgd", dict(lr=0.05, momentum=0.9, dampening=0.3)),
    ("sgd", dict(lr=0.05, momentum=0.9, dampening=0.3, weight_decay=0.02)),
    ("sgd", dict(lr=0.05, momentum=0.8, nesterov=True)),
    ("sgd", dict(lr=0.05, momentum=0.8, nesterov=True, weight_decay=0.02)),
    ("adam", dict(lr=0.01)),
    ("adam", dict(lr=0.01, weight_decay=0.1)),
    ("adam", dict(lr=0.02, betas=(0.8, 0.95), eps=1e-3)),
    ("adamw", dict(lr=0.01)),
    ("adamw", dict(lr=0.02, weight_decay=0.3, betas=(0.5, 0.9), eps=1e-6)),
]


def start(i):
    return ((5 * i) % 11 - 5) / 4


def gradient(step, i):  # step from 1; a dyadic fraction, so exact in float
    return ((7 * i + 13 * step) % 17 - 8) / 8


def run(kind, options, dtype):
    p = torch.tensor([start(i) for i in range(COUNT)], dtype=dtype, requires_grad=True)
    make = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[kind]
    optimizer = make([p], **options)
    rows = []
    for step in range(1, STEPS + 1):
        p.grad = torch.tensor([gradient(step, i) for i in range(COUNT)], dtype=dtype)
        optimizer.step()
        if step in KEPT:
            rows.append(p.detach().tolist())
    return rows


def cpp(rows):
    return ",\n".join("     {" + ", ".join(f"{v:.17g}" for v in row) + "}" for row in rows)


def main():
    print(f"// Made by optimizers.py with PyTorch {torch.__version__.split('+')[0]}.")
    print("// clang-format off\n#pragma once\n")
    print("namespace reference {\n")
    print("struct OptimizerCase {\n  const char* kind;")
    print("  double lr, momentum, dampening, weight_decay;\n  bool nesterov;")
    print("  double beta1, beta2, eps;")
    print(f"  double in_float[{len(KEPT)}][{COUNT}];   // after update optimizer_kept[row]")
    print(f"  double in_double[{len(KEPT)}][{COUNT}];\n}};\n")
    print(f"inline constexpr int optimizer_kept[{len(KEPT)}] = {{{', '.join(map(str, KEPT))}}};\n")
    print(f"inline constexpr OptimizerCase optimizer_cases[{len(CASES)}] = {{")
    for kind, options in CASES:
        o = dict(momentum=0, dampening=0, nesterov=False, betas=(0.9, 0.999), eps=1e-8,
                 weight_decay=0.01 if kind == "adamw" else 0)
        o.update(options)
        print(f'  {{"{kind}", {o["lr"]}, {o["momentum"]}, {o["dampening"]}, {o["weight_decay"]}, '
              f'{str(o["nesterov"]).lower()}, {o["betas"][0]}, {o["betas"][1]}, {o["eps"]},')
        print("    {" + cpp(run(kind, options, torch.float32)).lstrip() + "},")
        print("    {" + cpp(run(kind, options, torch.float64)).lstrip() + "}},")
    print("};\n\n}  // namespace reference")


main()
