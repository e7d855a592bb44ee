#!/usr/bin/env python3
"""Times steps of training, inference and Fisher information here and in PyTorch: same numbers, same
threads, one run.

    tools/compare_pytorch.py                    every workload, as many threads as cores
    tools/compare_pytorch.py mlp --threads 2

First both sides take one step from the same weights and batch, and their losses and updates must
agree. Then they take turns, a round each, so that a machine that slows down slows both. The last
line of a workload is the ratio of the medians: 1.5 means a step here takes 1/1.5 of PyTorch's time.

PyTorch runs eager, with whichever order of axes, implementation of its optimiser and way to
per-sample gradients is fastest on this machine. Exit status: 0 done, 1 results differ, 2 wrong usage,
77 PyTorch is not installed.
"""
import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

try:
    import numpy
    import safetensors.numpy
    import torch
    from torch import nn
except ImportError as error:
    print(f"compare_pytorch: {error.name} is not installed; to get it: python3 -m venv torch-venv && "
          "torch-venv/bin/pip install torch numpy safetensors, then run this with torch-venv/bin/python",
          file=sys.stderr)
    sys.exit(77)

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Relative error of the loss, and of the joint update of all parameters in the 2-norm. Both sides sum
# in float, in different orders; Adam's first step also divides noise by noise where a gradient is 0,
# and in a deep network with batch norm PyTorch's own gradients differ by 0.6 % from those in double.
LOSS_TOLERANCE = 1e-5
UPDATE_TOLERANCE = 5e-3
DEEP_UPDATE_TOLERANCE = 2e-2


def base_mlp():
    return nn.Sequential(nn.Linear(784, 200), nn.ReLU(), nn.Linear(200, 100), nn.ReLU(),
                         nn.Linear(100, 10))


def named(prefix, module):
    return {f"{prefix}.{name}": tensor for name, tensor in module.named_parameters()}


class Mlp:
    """Base-MLP 784-200-100-10, 64 images, cross-entropy, SGD with lr 0.01"""

    def __init__(self, variant):
        self.model = base_mlp()
        self.images, self.labels = torch.randn(64, 784), torch.randint(0, 10, (64,))
        self.optimizers = [torch.optim.SGD(self.model.parameters(), lr=0.01, **variant["optimizer"])]
        self.loss_of = nn.CrossEntropyLoss()

    def loss(self):
        return self.loss_of(self.model(self.images), self.labels)

    def tensors(self):
        return {"images": self.images, "labels": self.labels, **named("model", self.model)}


class MlpHalf(nn.Module):
    """Linear layers fc1, fc2, ... with ReLU between, N(0, 0.01²) weights and zero biases"""

    def __init__(self, *widths):
        super().__init__()
        self.depth = len(widths) - 1
        for i in range(self.depth):
            layer = nn.Linear(widths[i], widths[i + 1])
            nn.init.normal_(layer.weight, 0, 0.01)
            nn.init.zeros_(layer.bias)
            setattr(self, f"fc{i + 1}", layer)
        self.layers = [getattr(self, f"fc{i + 1}") for i in range(self.depth)]

    def forward(self, x):
        for layer in self.layers[:-1]:
            x = torch.relu(layer(x))
        return self.layers[-1](x)


def to_file(tensor):
    """Axes as files have them here: images (N, H, W, C), filters (K, R, S, C)."""
    return tensor.permute(0, 2, 3, 1) if tensor.dim() == 4 else tensor


class Code:
    """Learned code over Base-MLP, k = 2, r = 1, 64 groups, squared error, two Adams with lr 0.001"""

    def __init__(self, variant, k=2, groups=64, classes=10):
        self.k, self.n, self.classes = k, groups, classes
        self.base = base_mlp().requires_grad_(False).eval()
        self.encoder = self.make_encoder(k)
        self.decoder = MlpHalf((k + 1) * classes, (k + 1) * classes, k * classes, k * classes)
        self.groups = torch.randn(groups, k, 28, 28, 1)
        self.data_outputs = torch.randn(groups, k, classes)
        self.labels = torch.randint(0, classes, (groups, k))
        # Every group under each of its k scenarios "data output i is missing".
        self.mask = torch.ones(k, k + 1, 1)
        self.mask[range(k), range(k)] = 0
        adam = dict(lr=1e-3, weight_decay=1e-5, **variant["optimizer"])
        self.optimizers = [torch.optim.Adam(half.parameters(), **adam)
                           for half in (self.encoder, self.decoder)]

    def loss(self):
        parity = self.base(self.encode().reshape(self.n, -1))
        outputs = torch.cat([self.data_outputs, parity.unsqueeze(1)], 1)
        seen = (outputs.unsqueeze(1) * self.mask).view(self.n * self.k, -1)
        decoded = self.decoder(seen).view(self.n, self.k, self.k, self.classes)
        lost = decoded.diagonal(dim1=1, dim2=2).transpose(1, 2)  # data output i under scenario i
        return (lost - self.data_outputs).square().sum(-1).mean()

    def tensors(self):
        return {"groups": self.groups, "data_outputs": self.data_outputs, "labels": self.labels,
                **named("base", self.base), **named("code.encoder", self.encoder),
                **named("code.decoder", self.decoder)}


class MlpCode(Code):
    __doc__ = "MLPEncoder: " + Code.__doc__

    def make_encoder(self, k):
        return MlpHalf(k * 784, k * 784, 784)

    def encode(self):
        return self.encoder(self.groups.view(self.n, -1))


class ConvHalf(nn.Module):
    """ConvEncoder of arXiv 1806.01259: six 3x3 convolutions with dilations and ReLU, then 1x1"""

    def __init__(self, k, r=1):
        super().__init__()
        c, before = 20 * k, k
        for i, dilation in enumerate((1, 1, 2, 4, 8, 1)):
            setattr(self, f"conv{i + 1}", nn.Conv2d(before, c, 3, padding=dilation, dilation=dilation))
            before = c
        self.conv7 = nn.Conv2d(c, r, 1)
        self.layers = [getattr(self, f"conv{i + 1}") for i in range(7)]

    def forward(self, x):
        for layer in self.layers[:-1]:
            x = torch.relu(layer(x))
        return self.layers[-1](x)


class ConvCode(Code):
    __doc__ = "ConvEncoder: " + Code.__doc__

    def __init__(self, variant):
        self.format = variant["format"]
        super().__init__(variant)

    def make_encoder(self, k):
        return ConvHalf(k).to(memory_format=self.format)

    def encode(self):
        return self.encoder(self.groups[..., 0].contiguous(memory_format=self.format))


class Block(nn.Module):
    def __init__(self, before, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(before, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = None
        if stride != 1 or before != width:
            self.downsample = nn.Sequential(nn.Conv2d(before, width, 1, stride, bias=False),
                                            nn.BatchNorm2d(width))

    def forward(self, x):
        y = torch.relu_(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        y += x if self.downsample is None else self.downsample(x)
        return torch.relu_(y)


class ResNet18(nn.Module):
    def __init__(self, width=64, classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        before = width
        for stage in range(4):
            after = width * 2 ** stage
            setattr(self, f"layer{stage + 1}", nn.Sequential(
                Block(before, after, 1 if stage == 0 else 2), Block(after, after, 1)))
            before = after
        self.fc = nn.Linear(before, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x):
        x = torch.relu_(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3)))


class ResNet:
    """ResNet-18 (width 64), 64 images of 32x32x3, cross-entropy, SGD with lr 0.01 and momentum 0.9"""
    update_tolerance = DEEP_UPDATE_TOLERANCE

    def __init__(self, variant, batch=64):
        self.model = ResNet18().to(memory_format=variant["format"])
        self.images = torch.randn(batch, 3, 32, 32).contiguous(memory_format=variant["format"])
        self.labels = torch.randint(0, 10, (batch,))
        self.optimizers = [torch.optim.SGD(self.model.parameters(), lr=0.01, momentum=0.9,
                                           **variant["optimizer"])]

    def loss(self):
        return nn.functional.cross_entropy(self.model(self.images), self.labels)

    def tensors(self):
        return {"images": self.images, "labels": self.labels, **named("model", self.model)}


def give_statistics(model):
    """Batch norms' running statistics as after training, not 0 and 1."""
    for name, buffer in model.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(0, 0.1)
        elif name.endswith("running_var"):
            buffer.uniform_(0.5, 1.5)


def floating_buffers(prefix, model):
    return {f"{prefix}.{name}": buffer for name, buffer in model.named_buffers()
            if buffer.is_floating_point()}


class ResNetInfer:
    """ResNet-18 (width 64) in evaluation mode, batch of 64 images of 32x32x3"""
    batch = 64

    def __init__(self, variant):
        self.model = ResNet18()
        give_statistics(self.model)
        self.model.eval().to(memory_format=variant["format"])
        self.images = torch.randn(self.batch, 3, 32, 32).contiguous(memory_format=variant["format"])
        self.logits = torch.zeros(self.batch, 10)
        self.optimizers = []

    def loss(self):
        with torch.inference_mode():
            self.logits = self.model(self.images)
            return self.logits.square().mean()

    def tensors(self):
        return {"images": self.images, "logits": self.logits, **named("model", self.model),
                **floating_buffers("model", self.model)}


class ResNetInferOne(ResNetInfer):
    """ResNet-18 (width 64) in evaluation mode, one image of 32x32x3"""
    batch = 1


class Fisher:
    """Exact diagonal Gaussian Fisher information of ResNet-18 (width 64) on 32 images of 32x32x3"""
    width, points, classes = 64, 32, 10
    trial_points = 4     # that the variants are judged by
    rounds = 3           # at most: a step takes many seconds,
    warm_up = False      # and is its own warm-up
    by_tensor = True     # every tensor must agree, not only all together
    update_tolerance = 1e-3

    def __init__(self, variant, points=None):
        self.way, self.chunk = variant["way"], variant.get("chunk")
        self.model = ResNet18(self.width)
        give_statistics(self.model)
        self.model.eval().to(memory_format=variant["format"])
        self.images = torch.randn(points or self.points, 3, 32, 32)
        self.fisher = {name: torch.zeros_like(p) for name, p in self.model.named_parameters()}
        self.parameters = {name: p.detach() for name, p in self.model.named_parameters()}
        self.optimizers = []

    def logits_of(self, parameters, image):
        return torch.func.functional_call(self.model, parameters, (image.unsqueeze(0),))[0]

    def grad(self):
        """torch.func: vmap over the images of grad, a class at a time."""
        def logit(parameters, image, c):
            return self.logits_of(parameters, image)[c]
        gradients = torch.func.vmap(torch.func.grad(logit), in_dims=(None, 0, None))
        for images in self.images.split(self.chunk):
            for c in range(self.classes):
                for name, each in gradients(self.parameters, images, c).items():
                    yield name, each.square_().sum(0)

    def jacrev(self):
        """torch.func: an image at a time, vmap over the classes."""
        jacobian = torch.func.jacrev(self.logits_of)
        for image in self.images:
            for name, each in jacobian(self.parameters, image).items():
                yield name, each.square_().sum(0)

    def loop(self):
        """No torch.func: every image and class alone."""
        names, parameters = zip(*self.model.named_parameters())
        for image in self.images:
            logits = self.model(image.unsqueeze(0))[0]
            for c in range(self.classes):
                each = torch.autograd.grad(logits[c], parameters, retain_graph=c + 1 < self.classes)
                yield from ((name, gradient.square()) for name, gradient in zip(names, each))

    def loss(self):
        self.fisher = {name: torch.zeros_like(p) for name, p in self.parameters.items()}
        for name, squares in getattr(self, self.way)():
            self.fisher[name] += squares
        for total in self.fisher.values():
            total /= len(self.images)
        return sum(total.double().sum() for total in self.fisher.values())

    def tensors(self):
        return {"images": self.images, **named("model", self.model),
                **floating_buffers("model", self.model),
                **{f"fisher.{name}": total for name, total in self.fisher.items()}}


class NarrowFisher(Fisher):
    """Exact diagonal Gaussian Fisher information of ResNet-18 (width 16) on 64 images of 32x32x3"""
    width, points, trial_points = 16, 64, 16


# Implementations of the optimisers' update, and orders of axes: of a workload's, the fastest is taken.
UPDATES = {"for-loop": {"foreach": False}, "foreach": {"foreach": True}, "fused": {"fused": True}}
FORMATS = {"NCHW": torch.contiguous_format, "NHWC": torch.channels_last}


def updates_of():
    return {name: {"optimizer": update} for name, update in UPDATES.items()}


def formats_of(update="fused"):
    return {name: {"optimizer": UPDATES[update], "format": axes} for name, axes in FORMATS.items()}


def ways_of(*chunks):
    ways = {f"torch.func grad by {chunk} {name}": {"way": "grad", "chunk": chunk, "format": axes}
            for chunk in chunks for name, axes in FORMATS.items()}
    return {**ways,
            "torch.func jacrev": {"way": "jacrev", "format": FORMATS["NCHW"]},
            "one by one": {"way": "loop", "format": FORMATS["NCHW"]}}


# Name (as bench_steps knows it) -> PyTorch's side, steps in a round, variants. A new workload is a
# class above and a line here, and its other half in bench_steps/workloads.cpp.
WORKLOADS = {
    "mlp": (Mlp, 400, updates_of()),
    "mlp-code": (MlpCode, 20, updates_of()),
    "conv-code": (ConvCode, 3, formats_of()),
    "resnet18": (ResNet, 1, formats_of()),
    "resnet18-infer-64": (ResNetInfer, 2, formats_of()),
    "resnet18-infer-1": (ResNetInferOne, 40, formats_of()),
    "resnet18-fisher": (Fisher, 1, ways_of(4)),
    "resnet18-w16-fisher": (NarrowFisher, 1, ways_of(4, 16)),
}


def step(side):
    for optimizer in side.optimizers:
        optimizer.zero_grad()
    loss = side.loss()
    if side.optimizers:
        loss.backward()
    for optimizer in side.optimizers:
        optimizer.step()
    return loss.item()


def milliseconds(side, steps):
    for _ in range(1 + steps // 10 if getattr(side, "warm_up", True) else 0):
        step(side)
    start = time.perf_counter()
    for _ in range(steps):
        step(side)
    return 1000 * (time.perf_counter() - start) / steps


def snapshot(side):
    return {name: to_file(tensor.detach()).contiguous().numpy().copy()
            for name, tensor in side.tensors().items()}


def best_variant(make, variants, seed, steps):
    """Of `variants`, the fastest: its name, a fresh workload, and the milliseconds of all. A PyTorch that
    lacks one is judged by the others. Long steps are judged by some of their images, and once."""
    timed = {}
    trial = getattr(make, "trial_points", None)
    share = trial / make.points if trial else 1
    for name, options in variants.items():
        torch.manual_seed(seed)
        try:
            side = make(options, trial) if trial else make(options)
            timed[name] = statistics.median(milliseconds(side, max(1, steps // 4))
                                            for _ in range(1 if trial else 3)) / share
        except (TypeError, RuntimeError):
            continue
    name = min(timed, key=timed.get)
    torch.manual_seed(seed)
    return name, make(variants[name]), timed


class Ours:
    """bench_steps, started once and given a turn by a line on its stdin."""

    def __init__(self, bench, workload, folder, problem, args, rounds, steps):
        safetensors.numpy.save_file(problem, folder / "problem.safetensors")
        self.process = subprocess.Popen(
            [bench, "--workload", workload, "--problem", folder / "problem.safetensors",
             "--after", folder / "after.safetensors", "--on-demand", "--rounds", str(rounds),
             "--steps", str(steps), "--threads", str(args.threads)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.folder = folder

    def round(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.answer()["ms_per_step"]

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"compare_pytorch: bench_steps ended early, status {self.process.wait()}")
        return json.loads(line)

    def after(self):
        return safetensors.numpy.load_file(self.folder / "after.safetensors")


def differences(before, ours, theirs, loss, by_tensor):
    """Relative errors of the loss, and of the update over all parameters or of the worst tensor."""
    squares, references = [], []
    for name, start in before.items():
        wide = start.astype(numpy.float64)
        update = theirs[name] - wide
        squares.append(float((((ours[name] - wide) - update) ** 2).sum()))
        references.append(float((update ** 2).sum()))
    if by_tensor:  # that changed on either side
        error = max((square / max(reference, 1e-300)) ** 0.5
                    for square, reference in zip(squares, references) if square + reference > 0)
    else:
        error = (sum(squares) / sum(references)) ** 0.5
    return abs(float(ours["loss"][0]) - loss) / abs(loss), error


def compare(workload, args):
    make, steps, variants = WORKLOADS[workload]
    steps = args.steps or steps
    update_tolerance = getattr(make, "update_tolerance", UPDATE_TOLERANCE)
    most_rounds = min(args.rounds, getattr(make, "rounds", args.rounds))
    print(f"\n{workload}: {make.__doc__}")
    variant, side, timed = best_variant(make, variants, args.seed, steps)
    print("  PyTorch's variants: " + ", ".join(f"{name} {ms:.3f}" for name, ms in timed.items())
          + f" ms a step; taken: {variant}")
    with tempfile.TemporaryDirectory() as folder:
        before = snapshot(side)
        ours = Ours(args.bench, workload, pathlib.Path(folder), before, args, most_rounds, steps)
        loss = step(side)
        rounds = {"ours": [ours.round()], "theirs": []}  # its first step is taken by now
        errors = differences(before, ours.after(), snapshot(side), loss,
                             getattr(make, "by_tensor", False))
        agree = errors[0] <= LOSS_TOLERANCE and errors[1] <= update_tolerance
        print(f"  after one step: loss {loss:.6g}, relative difference {errors[0]:.1e} (at most "
              f"{LOSS_TOLERANCE:g}); update differs by {errors[1]:.1e} (at most {update_tolerance:g}): "
              + ("agree" if agree else "DIFFER"))
        rounds["theirs"].append(milliseconds(side, steps))
        while len(rounds["theirs"]) < most_rounds:
            rounds["ours"].append(ours.round())
            rounds["theirs"].append(milliseconds(side, steps))
        final = ours.answer()
        ours.process.wait()
    medians = {name: statistics.median(values) for name, values in rounds.items()}
    ratio = medians["theirs"] / medians["ours"]
    ranges = {name: f"{min(values):.3f} to {max(values):.3f}" for name, values in rounds.items()}
    print(f"  PyTorch    {medians['theirs']:9.3f} ms a step, median of {most_rounds} rounds of {steps}"
          f" ({ranges['theirs']})")
    print(f"  understudy {medians['ours']:9.3f} ms a step, {final['instruction_set']}"
          f" ({ranges['ours']})")
    # PyTorch's is that of this process, so of all workloads up to this one.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(f"  peak memory of the process: PyTorch {peak:.0f} MB so far, understudy "
          f"{final['peak_mb']:.0f} MB")
    best = min(rounds["theirs"]) / min(rounds["ours"])
    print(f"  ratio      {ratio:9.2f} x PyTorch ({best:.2f} between the best rounds)" if agree
          else "  no ratio: the results differ")
    func = {name: ms for name, ms in timed.items() if name.startswith("torch.func")}
    if agree and func and variant not in func:
        name = min(func, key=func.get)
        print(f"             {func[name] / medians['ours']:9.2f} x {name}, by its time above")
    return {"workload": workload, "agree": agree, "loss_error": errors[0], "update_error": errors[1],
            "pytorch_variant": variant, "pytorch_variants": timed,
            "pytorch_ms": medians["theirs"], "ms": medians["ours"],
            "ratio": ratio if agree else None,
            "ratio_of_best": best if agree else None, "instruction_set": final["instruction_set"],
            "pytorch_peak_mb": peak, "peak_mb": final["peak_mb"],
            "rounds": rounds, "steps": steps}


def cpu_name():
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return "unknown CPU"
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")),
                "unknown CPU")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD",
                        help=f"of {', '.join(WORKLOADS)}; all when none is given")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)),
                        help="of both sides (default: %(default)s, the cores of this machine)")
    parser.add_argument("--rounds", type=int, default=11, help="default: %(default)s")
    parser.add_argument("--steps", type=int, default=0, help="in a round; 0: a number that suits")
    parser.add_argument("--seed", type=int, default=1, help="default: %(default)s")
    parser.add_argument("--bench", type=pathlib.Path, default=ROOT / "build/bin/bench_steps")
    parser.add_argument("--json", type=pathlib.Path, help="write the results there")
    args = parser.parse_args()
    unknown = [name for name in args.workloads if name not in WORKLOADS]
    if unknown:
        parser.error(f"unknown workload {unknown[0]}; there are {', '.join(WORKLOADS)}")
    if min(args.threads, args.rounds) < 1 or args.steps < 0:
        parser.error("--threads and --rounds are at least 1, --steps at least 0")
    if not args.bench.is_file():
        sys.exit(f"compare_pytorch: {args.bench} is not there; build it first (tools/quickstart), or "
                 "say where it is with --bench")

    torch.set_num_threads(args.threads)
    version = subprocess.run([args.bench, "--version"], capture_output=True, text=True,
                             check=True).stdout.strip()
    print(f"{cpu_name()}; {args.threads} threads on each side, seed {args.seed}\n"
          f"PyTorch {torch.__version__} (eager), Python {sys.version.split()[0]}; {version}")
    results = [compare(workload, args) for workload in args.workloads or WORKLOADS]
    if args.json:
        args.json.write_text(json.dumps({"cpu": cpu_name(), "threads": args.threads,
                                         "seed": args.seed, "pytorch": torch.__version__,
                                         "version": version, "results": results}, indent=2) + "\n")
    return 0 if all(result["agree"] for result in results) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
