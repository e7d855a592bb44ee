"""Writes batch_norm.h: what torch.nn.BatchNorm2d makes of three batches in training mode and of a
fourth in evaluation mode, its running statistics after each, and the gradients of a batch norm with
residual and ReLU in both modes.
Run: python3 batch_norm.py > batch_norm.h   (needs torch)"""
import torch

CHANNELS = 3
SIZES = [4, 2, 3, 2]  # images of 2x3 pixels in each batch, the last one for evaluation


def values(count, salt, scale):  # dyadic fractions in [-scale, scale)
    return [((37 * i + 11 * salt + i // 64) % 64 - 32) / 32 * scale for i in range(count)]


def batch(step, salt=0):  # (N, H, W, C) in the order of `values`; (N, C, H, W) for PyTorch
    n = SIZES[step]
    flat = torch.tensor(values(n * 6 * CHANNELS, step + salt, step + 1.0), dtype=torch.float64)
    return flat.view(n, 2, 3, CHANNELS).permute(0, 3, 1, 2)


def flat(tensor):
    if tensor.dim() == 4:
        tensor = tensor.permute(0, 2, 3, 1)
    return [f"{v:.17g}" for v in tensor.detach().flatten().tolist()]


def array(name, tensors):
    all_values = [v for tensor in tensors for v in flat(tensor)]
    lines = [", ".join(all_values[i:i + 4]) for i in range(0, len(all_values), 4)]
    joined = ",\n    ".join(lines)
    print(f"inline constexpr double {name}[{len(all_values)}] = {{\n    {joined}}};\n")


def layer(momentum):
    norm = torch.nn.BatchNorm2d(CHANNELS, eps=1e-3, momentum=momentum, dtype=torch.float64)
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([1.5, -0.5, 0.25]))
        norm.bias.copy_(torch.tensor([0.125, 0.5, -0.25]))
    return norm


def main():
    print(f"// Made by batch_norm.py with PyTorch {torch.__version__.split('+')[0]}.")
    print("// clang-format off\n#pragma once\n\nnamespace reference {\n")
    for name, momentum in [("momentum", 0.1), ("cumulative", None)]:
        norm = layer(momentum)
        results, means, variances = [], [], []
        for step in range(len(SIZES)):
            norm.train(step + 1 < len(SIZES))
            results.append(norm(batch(step)))
            means.append(norm.running_mean.clone())
            variances.append(norm.running_var.clone())
        array(f"{name}_results", results)
        array(f"{name}_means", means)
        array(f"{name}_variances", variances)

    norm = layer(0.1)
    for mode in ["training", "evaluation"]:
        norm.train(mode == "training")
        norm.zero_grad()
        x, residual = batch(0).requires_grad_(), batch(0, salt=7).requires_grad_()
        y = torch.relu(norm(x) + residual)
        y.backward(batch(0, salt=13))
        for what, tensor in [("result", y), ("dx", x.grad), ("dweight", norm.weight.grad),
                             ("dbias", norm.bias.grad), ("dresidual", residual.grad)]:
            array(f"{mode}_{what}", [tensor])
    print("}  // namespace reference")


main()
