"""Writes conv_encoder.h: output and gradients of PyTorch's ConvEncoder of "Learning a Code" (arXiv
1806.01259), whose weights both sides compute from one formula.
Run: python3 conv_encoder.py   (needs torch)"""
import torch
from torch import nn

K, R, HEIGHT, WIDTH, GROUPS = 2, 2, 9, 11, 2


def values(shape, salt, scale):  # dyadic fractions in [-scale, scale)
    i = torch.arange(torch.Size(shape).numel())
    return (((37 * i + 11 * salt + i // 64) % 64 - 32) / 32 * scale).double().view(shape)


def array(name, tensor):
    flat = [f"{v:.17g}" for v in tensor.detach().flatten().tolist()]
    lines = [", ".join(flat[i:i + 5]) for i in range(0, len(flat), 5)]
    return f"inline constexpr double {name}[{len(flat)}] = {{\n    " + ",\n    ".join(lines) + "};\n"


def main():
    c = 20 * K
    layers = []
    for i, dilation in enumerate([1, 1, 2, 4, 8, 1]):
        layers.append(nn.Conv2d(K if i == 0 else c, c, 3, padding=dilation, dilation=dilation))
    layers.append(nn.Conv2d(c, R, 1))
    x = values((GROUPS, K, HEIGHT, WIDTH), 0, 1).requires_grad_()
    y = x
    for i, layer in enumerate(layers):
        layer.double()
        b, a, r, s = layer.weight.shape
        with torch.no_grad():  # counted in the order (K, R, S, C)
            layer.weight.copy_(values((b, r, s, a), 2 * i + 1, 0.125).permute(0, 3, 1, 2))
            layer.bias.copy_(values((b,), 2 * i + 2, 0.25))
        y = layer(y)
        if i < 6:
            y = torch.relu(y)
    (y * values(y.shape, 99, 1)).sum().backward()
    # A gradient of a weight is 14,400 numbers: stored are their sums after two weightings.
    sums = torch.tensor([[(p.grad * values(p.shape, salt, 1)).sum() for salt in (50, 51)]
                         for p in (layer.weight for layer in layers)], dtype=torch.float64)
    out = [f"// Made by conv_encoder.py with PyTorch {torch.__version__.split('+')[0]}.",
           "// clang-format off", "#pragma once", "", "namespace reference {", "",
           array("conv_encoder_output", y), array("conv_encoder_input_gradient", x.grad),
           "// of conv1.weight, conv2.weight, ... (K,C,R,S): Σ gradient · values(salt 50), (salt 51)",
           array("conv_encoder_weight_gradients", sums),
           array("conv_encoder_bias_gradients", torch.cat([layer.bias.grad for layer in layers])),
           "}  // namespace reference"]
    with open("conv_encoder.h", "w") as f:
        f.write("\n".join(out) + "\n")


main()
