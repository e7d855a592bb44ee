#!/usr/bin/env python3
"""Compares ResNet-18 here and in PyTorch, at full width: model files both ways, logits, gradients,
and the losses of training from the same weights on the same batches.

    resnet_interop.py PATH_TO_resnet_interop            what the tests run; seconds
    resnet_interop.py PATH_TO_resnet_interop --curve    50 steps of 64 images of the CIFAR-10 sample

The second prints both curves and ends with their largest relative difference. --width, --steps,
--batch, --lr and --double, which lets PyTorch compute in double, change it. Exits 1 where the two
differ, 77 without PyTorch.
"""
import argparse
import gzip
import pathlib
import subprocess
import sys
import tempfile

import with_pytorch  # noqa: F401
import torch
from safetensors.torch import load_file, save_file
from torch import nn

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "reference"))
from resnet import ResNet, build  # noqa: E402

LOGITS = 1e-3  # of their range
# Of each tensor, in the 2-norm. That gradients are right is tested in double, on small networks; in
# float both sides put some ReLUs whose input is as small as its rounding on the other side.
GRADIENTS = 5e-2
FIRST_LOSSES = 5e-4  # of the first three steps, before rounding has grown


def describe(widths, batch_norm):
    return "resnet18 " + "-".join(map(str, widths)) + ("" if batch_norm else " no-batch-norm")


def nhwc(images):
    return images.permute(0, 2, 3, 1).contiguous()


def relative(found, expected):
    return ((found - expected).norm() / expected.norm()).item()


class Comparison:
    def __init__(self, program, folder):
        self.program, self.folder, self.failures = program, folder, 0

    def run(self, *arguments):
        subprocess.run([self.program, *map(str, arguments)], check=True)

    def expect(self, what, difference, limit):
        good = difference <= limit  # false for NaN
        self.failures += not good
        print(f"{'' if good else 'FAILED: '}{what}: {difference:.1e} (at most {limit:.0e})")

    def passes(self, name, net, model, description, size):
        """Logits, loss and gradients of the network in the file `model` and of `net`."""
        images, labels = torch.randn(8, net.conv1.in_channels, size, size), torch.arange(8) % 10
        batch, out = self.folder / "batch.safetensors", self.folder / "out.safetensors"
        save_file({"images": nhwc(images), "labels": labels}, batch)
        self.run("pass", model, description, batch, out)
        ours = load_file(out)
        with torch.no_grad():
            logits = net.eval()(images)
        range_of = (logits.max() - logits.min()).item()
        self.expect(f"{name}: logits", (ours["logits"] - logits).abs().max().item() / range_of, LOGITS)
        loss = nn.functional.cross_entropy(net.train()(images), labels)
        loss.backward()
        self.expect(f"{name}: loss", relative(ours["loss"], loss.detach()), 1e-4)
        worst = max(relative(ours["gradient." + path], p.grad) for path, p in net.named_parameters())
        self.expect(f"{name}: gradients", worst, GRADIENTS)

    def files_go_both_ways(self, widths, batch_norm, size):
        description = describe(widths, batch_norm)
        net, model = build(widths, batch_norm, 1), self.folder / "model.safetensors"
        save_file(net.state_dict(), model)
        self.passes(f"PyTorch's file of {description}", net, model, description, size)

        self.run("make", description, 5, model)
        net = ResNet(widths, batch_norm)
        net.load_state_dict(load_file(model))  # strict: every name and shape
        self.passes(f"our file of {description}", net, model, description, size)

    def curves(self, widths, images, labels, lr, dtype):
        """Losses of SGD with momentum: ours, PyTorch's. images (S, N, C, H, W)."""
        net, model = build(widths, True, 1), self.folder / "model.safetensors"
        save_file(net.state_dict(), model)
        batches, out = self.folder / "batches.safetensors", self.folder / "losses.safetensors"
        save_file({"images": images.permute(0, 1, 3, 4, 2).contiguous(), "labels": labels}, batches)
        self.run("train", model, describe(widths, True), batches, lr, out)
        net.to(dtype).train()
        optimizer = torch.optim.SGD(net.parameters(), lr, 0.9)
        losses = []
        for x, label in zip(images.to(dtype), labels):
            loss = nn.functional.cross_entropy(net(x), label)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return load_file(out)["losses"].tolist(), losses


def cifar(steps, batch):
    files = sorted((ROOT / "datasets/data/cifar-10/cifar-10-batches-bin").glob("data_batch_*.bin.gz"))
    data = bytearray(b"".join(gzip.decompress(path.read_bytes()) for path in files))
    data = torch.frombuffer(data, dtype=torch.uint8).view(-1, 3073)
    data = data[torch.arange(steps * batch) % len(data)]
    mean = torch.tensor([0.4914, 0.4822, 0.4465]).view(1, 3, 1, 1)
    std = torch.tensor([0.2023, 0.1994, 0.2010]).view(1, 3, 1, 1)
    images = (data[:, 1:].view(-1, 3, 32, 32).float() / 255 - mean) / std
    return images.view(steps, batch, 3, 32, 32), data[:, 0].long().view(steps, batch)


def full_widths(width):
    return [3, width, 2 * width, 4 * width, 8 * width, 10]


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("program")
    parser.add_argument("--curve", action="store_true")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--lr", type=float, default=0.01)
    parser.add_argument("--double", action="store_true")
    options = parser.parse_args()
    torch.manual_seed(2)
    with tempfile.TemporaryDirectory() as folder:
        comparison = Comparison(options.program, pathlib.Path(folder))
        if options.curve:
            images, labels = cifar(options.steps, options.batch)
            ours, theirs = comparison.curves(full_widths(options.width), images, labels, options.lr,
                                             torch.float64 if options.double else torch.float32)
            print("step   here       PyTorch    relative difference")
            differences = [abs(a / b - 1) for a, b in zip(ours, theirs)]
            for step, (a, b, d) in enumerate(zip(ours, theirs, differences)):
                print(f"{step:4}   {a:.6f}   {b:.6f}   {d:.1e}")
            print(f"largest relative difference: {max(differences):.1e}")
            comparison.expect("first three losses", max(differences[:3]), FIRST_LOSSES)
        else:
            comparison.files_go_both_ways(full_widths(64), True, 32)
            comparison.files_go_both_ways([1, 64, 128, 256, 10], True, 28)
            comparison.files_go_both_ways(full_widths(16), False, 32)
            ours, theirs = comparison.curves(full_widths(16), torch.randn(3, 16, 3, 32, 32),
                                             torch.arange(48).view(3, 16) % 10, 0.01, torch.float32)
            comparison.expect("losses of three steps",
                              max(abs(a / b - 1) for a, b in zip(ours, theirs)), FIRST_LOSSES)
    sys.exit(1 if comparison.failures else 0)


main()
