"""PyTorch's side of the workloads that bench_steps times: models, losses, and the ways to run them.

A new workload is a class here and a line in WORKLOADS, and its other half in bench_steps/workloads.cpp.
Tensors are made on the default device.
"""
import torch
from torch import nn

# The joint relative error of an update that deep networks are allowed: with batch norm PyTorch's own
# float gradients differ by 0.6 % from those in double.
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


class BigResNet(ResNet):
    """ResNet-18 (width 64), 512 images of 32x32x3, cross-entropy, SGD with lr 0.01 and momentum 0.9"""

    def __init__(self, variant):
        super().__init__(variant, 512)


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


# Name (as bench_steps knows it) -> PyTorch's side, steps in a round, variants.
WORKLOADS = {
    "mlp": (Mlp, 400, updates_of()),
    "mlp-code": (MlpCode, 20, updates_of()),
    "conv-code": (ConvCode, 3, formats_of()),
    "resnet18": (ResNet, 1, formats_of()),
    "resnet18-512": (BigResNet, 1, formats_of()),
    "resnet18-infer-64": (ResNetInfer, 2, formats_of()),
    "resnet18-infer-1": (ResNetInferOne, 40, formats_of()),
    "resnet18-fisher": (Fisher, 1, ways_of(4)),
    "resnet18-w16-fisher": (NarrowFisher, 1, ways_of(4, 16)),
}
