"""Writes, for four small ResNets, resnet_<name>.safetensors, their state dicts as PyTorch saves them,
resnet_expected.safetensors, what PyTorch makes of them in double, and resnet.h, the losses of a run.
Run: python3 resnet.py   (needs torch and safetensors)"""
import torch
from safetensors.torch import save_file
from torch import nn

BATCH = 3
STEPS, GOLDEN_BATCH, MOMENTUM = 50, 16, 0.9
GOLDEN = {"rgb": 0.01, "rgb_plain": 0.002}  # learning rates
CASES = {  # widths: channels, stages, classes; image size; batch norm
    "rgb": ([3, 4, 5, 6, 8, 7], 32, True),
    "rgb_plain": ([3, 4, 5, 6, 8, 7], 32, False),
    "grey": ([1, 4, 6, 8, 10], 28, True),
    "grey_plain": ([1, 4, 6, 8, 10], 28, False),
}


def norm(channels, batch_norm):
    return nn.BatchNorm2d(channels) if batch_norm else nn.Identity()


class Block(nn.Module):
    def __init__(self, a, b, stride, batch_norm):
        super().__init__()
        self.conv1 = nn.Conv2d(a, b, 3, stride, 1, bias=not batch_norm)
        self.bn1 = norm(b, batch_norm)
        self.conv2 = nn.Conv2d(b, b, 3, 1, 1, bias=not batch_norm)
        self.bn2 = norm(b, batch_norm)
        self.downsample = None
        if stride != 1 or a != b:
            self.downsample = nn.Sequential(nn.Conv2d(a, b, 1, stride, bias=not batch_norm),
                                            norm(b, batch_norm))

    def forward(self, x):
        shortcut = x if self.downsample is None else self.downsample(x)
        return torch.relu(self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x))))) + shortcut)


class ResNet(nn.Module):  # torchvision's names, the stem for small images
    def __init__(self, widths, batch_norm):
        super().__init__()
        self.conv1 = nn.Conv2d(widths[0], widths[1], 3, 1, 1, bias=not batch_norm)
        self.bn1 = norm(widths[1], batch_norm)
        for i, b in enumerate(widths[1:-1]):
            a = widths[max(i, 1)]
            self.add_module(f"layer{i + 1}", nn.Sequential(
                Block(a, b, 1 if i == 0 else 2, batch_norm), Block(b, b, 1, batch_norm)))
        self.stages = len(widths) - 2
        self.fc = nn.Linear(widths[-2], widths[-1])

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        for i in range(self.stages):
            x = getattr(self, f"layer{i + 1}")(x)
        return self.fc(x.mean((2, 3)))


def noise(count, salt):
    """Fractions in [-1, 1), exact in float. Without a period: of equal windows a ReLU close to its
    kink takes all at once, and float follows double no longer."""
    h = torch.arange(count) + 1000003 * salt
    for _ in range(2):
        h = ((h ^ h >> 16) * 0x45D9F3B) & 0xFFFFFFFF
    return ((h ^ h >> 16) & 0xFFFF).double() / 32768 - 1


def images(n, size, channels, salt):  # counted in the order (N, H, W, C)
    return noise(n * size * size * channels, salt).view(n, size, size, channels).permute(0, 3, 1, 2)


def build(widths, batch_norm, seed):
    torch.manual_seed(seed)
    net = ResNet(widths, batch_norm)
    for m in net.modules():  # as after some training
        if isinstance(m, nn.BatchNorm2d):
            nn.init.uniform_(m.weight, 0.5, 1.5)
            nn.init.uniform_(m.bias, -0.5, 0.5)
            m.running_mean.normal_(0, 0.2)
            m.running_var.uniform_(0.3, 1)
            m.num_batches_tracked.fill_(41)
        elif isinstance(m, nn.Conv2d):
            nn.init.kaiming_normal_(m.weight)
    return net


def golden(name, state, dtype=torch.float64):
    """Losses of training on noise with a brighter band of columns: which of seven, is the label."""
    widths, size, batch_norm = CASES[name]
    net = ResNet(widths, batch_norm)
    net.load_state_dict(state)
    net.to(dtype)
    optimizer = torch.optim.SGD(net.parameters(), GOLDEN[name], MOMENTUM)
    losses = []
    for step in range(STEPS):
        label = (3 * torch.arange(GOLDEN_BATCH) + step) % 7
        band = torch.arange(size) * 7 // size
        x = images(GOLDEN_BATCH, size, 3, step)
        x = x + 2 * (band[None, :] == label[:, None])[:, None, None, :]
        loss = nn.functional.cross_entropy(net(x.to(dtype)), label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def main():
    expected, losses, drift = {}, {}, {}
    for seed, (name, (widths, size, batch_norm)) in enumerate(CASES.items()):
        net = build(widths, batch_norm, seed)
        state = {k: v.clone() for k, v in net.state_dict().items()}
        save_file(state, f"resnet_{name}.safetensors")
        net.double()
        x = images(BATCH, size, widths[0], 0)
        label = torch.arange(BATCH) % widths[-1]
        net.eval()
        expected[f"{name}/logits"] = net(x).detach().clone()
        net.train()
        logits = net(x)
        loss = nn.functional.cross_entropy(logits, label)
        loss.backward()
        expected[f"{name}/training_logits"] = logits.detach().clone()
        expected[f"{name}/loss"] = loss.detach().clone()
        for path, p in net.named_parameters():
            expected[f"{name}/gradient/{path}"] = p.grad.float()
        if batch_norm:
            for path in ("bn1", f"layer{net.stages}.0.downsample.1"):
                module = net.get_submodule(path)
                expected[f"{name}/after/{path}.running_mean"] = module.running_mean.clone()
                expected[f"{name}/after/{path}.running_var"] = module.running_var.clone()
                expected[f"{name}/after/{path}.num_batches_tracked"] = \
                    module.num_batches_tracked.clone()
        if name in GOLDEN:
            losses[name] = golden(name, state)
            rounded = golden(name, state, torch.float32)
            drift[name] = [abs(a / b - 1) for a, b in zip(rounded, losses[name])]
    save_file(expected, "resnet_expected.safetensors")
    out = [f"// Made by resnet.py with PyTorch {torch.__version__.split('+')[0]}.",
           "// clang-format off", "#pragma once", "", "namespace reference {", ""]
    for name, lr in GOLDEN.items():
        flat = [f"{v:.17g}" for v in losses[name]]
        lines = [", ".join(flat[i:i + 5]) for i in range(0, len(flat), 5)]
        out += [f"// resnet_{name}.safetensors trained in double: SGD, learning rate {lr}, momentum "
                f"{MOMENTUM}, batches of {GOLDEN_BATCH}.",
                f"// PyTorch's own losses in float are off by up to {max(drift[name][:5]):.0e} in 5 "
                f"steps, {max(drift[name][:20]):.0e} in 20 and {max(drift[name]):.0e} in {STEPS}.",
                f"inline constexpr double {name}_losses[{STEPS}] = {{\n    " +
                ",\n    ".join(lines) + "};\n"]
    with open("resnet.h", "w") as f:
        f.write("\n".join(out) + "\n}  // namespace reference\n")


if __name__ == "__main__":
    main()
