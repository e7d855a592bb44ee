"""Writes mlp.h and mlp.safetensors: logits and gradients of PyTorch MLPs whose weights both sides
compute from one formula, and a state dict as PyTorch saves it.
Run: python3 mlp.py   (needs torch and safetensors)"""
import torch
from safetensors.torch import save_file

SMALL = [12, 7, 5, 3]
BASE = [784, 200, 100, 10]
BATCH = 4


def values(count, salt, scale):  # dyadic fractions in [-scale, scale)
    return [((37 * i + 11 * salt + i // 64) % 64 - 32) / 32 * scale for i in range(count)]


def build(widths, scale, dtype):
    layers = []
    for i, (a, b) in enumerate(zip(widths, widths[1:])):
        layer = torch.nn.Linear(a, b, dtype=dtype)
        with torch.no_grad():
            layer.weight.copy_(torch.tensor(values(a * b, 2 * i + 1, scale)).view(b, a))
            layer.bias.copy_(torch.tensor(values(b, 2 * i + 2, scale)))
        layers += [layer, torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


def batch(width):
    return torch.tensor(values(BATCH * width, 0, 1.0), dtype=torch.float64).view(BATCH, width)


def array(name, tensor):
    flat = [f"{v:.17g}" for v in tensor.detach().flatten().tolist()]
    lines = [", ".join(flat[i:i + 5]) for i in range(0, len(flat), 5)]
    return f"inline constexpr double {name}[{len(flat)}] = {{\n    " + ",\n    ".join(lines) + "};\n"


def main():
    out = [f"// Made by mlp.py with PyTorch {torch.__version__.split('+')[0]}.",
           "// clang-format off", "#pragma once", "", "namespace reference {", ""]
    small = build(SMALL, 0.5, torch.float64)
    labels = torch.tensor([2, 0, 1, 2])
    logits = small(batch(SMALL[0]))
    loss = torch.nn.functional.cross_entropy(logits, labels)
    loss.backward()
    out.append("// 12-7-5-3, weights in [-1/2, 1/2); mean cross-entropy to the labels 2, 0, 1, 2")
    out.append(array("small_logits", logits))
    out.append(f"inline constexpr double small_loss = {loss.item():.17g};\n")
    for name, p in small.named_parameters():
        out.append(array("small_gradient_" + name.replace(".", "_"), p.grad))
    base = build(BASE, 0.125, torch.float64)
    out.append("// Base-MLP, weights in [-1/8, 1/8)")
    out.append(array("base_logits", base(batch(BASE[0]))))

    torch.manual_seed(0)
    saved = torch.nn.Sequential(torch.nn.Linear(6, 4), torch.nn.ReLU(), torch.nn.Linear(4, 3))
    save_file(saved.state_dict(), "mlp.safetensors")
    out.append("// the 6-4-3 network of mlp.safetensors")
    out.append(array("saved_logits", saved(batch(6).float())))
    out.append("}  // namespace reference")
    with open("mlp.h", "w") as f:
        f.write("\n".join(out) + "\n")


main()
