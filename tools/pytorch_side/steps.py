"""How a step of PyTorch is run and timed: eager on the CPU; on a GPU also compiled, and compiled and
captured in a CUDA graph, in fp32, tf32 or bf16.
"""
import contextlib
import time

import torch

WAYS = ("eager", "torch.compile", "torch.compile with CUDA graphs")


def use_precision(precision):
    """What cuBLAS and cuDNN may do to float32 factors. bf16 is autocast's, in Runner."""
    torch.backends.cuda.matmul.allow_tf32 = precision != "fp32"
    torch.backends.cudnn.allow_tf32 = precision != "fp32"
    torch.backends.cudnn.benchmark = True


class Runner:
    """Steps of `side` (workloads.py), in one of WAYS."""

    def __init__(self, side, device="cpu", precision="fp32", way="eager"):
        self.side, self.device, self.way = side, device, way
        self.precision = precision
        self.loss = side.loss if way == "eager" else torch.compile(side.loss)
        self.graph = None

    def autocast(self):
        if self.precision != "bf16":
            return contextlib.nullcontext()
        return torch.autocast(self.device, torch.bfloat16)

    def step(self):
        """The loss, not yet read."""
        for optimizer in self.side.optimizers:
            optimizer.zero_grad()
        with self.autocast():
            loss = self.loss()
        if self.side.optimizers:
            loss.backward()
        for optimizer in self.side.optimizers:
            optimizer.step()
        return loss

    def first_step(self):
        """Eager, whatever the way: its loss, and everything as it is after one step."""
        loss, self.loss = self.loss, self.side.loss
        value = self.step().item()
        self.loss = loss
        return value

    def capture(self):
        """The whole step as one graph (PyTorch's notes on whole-network capture)."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(5):
                self.step()
        torch.cuda.current_stream().wait_stream(stream)
        for optimizer in self.side.optimizers:
            optimizer.zero_grad(set_to_none=True)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.captured_loss = self.step()

    def run(self):
        if self.way == WAYS[2] and self.graph is None:
            self.capture()
        if self.graph is not None:
            self.graph.replay()
        elif self.device == "cpu":
            self.step().item()  # as a trainer does
        else:
            self.step()

    def milliseconds(self, steps):
        for _ in range(1 + steps // 10 if getattr(self.side, "warm_up", True) else 0):
            self.run()
        self.synchronize()
        start = time.perf_counter()
        for _ in range(steps):
            self.run()
        self.synchronize()
        return 1000 * (time.perf_counter() - start) / steps

    def synchronize(self):
        if self.device == "cuda":
            torch.cuda.synchronize()
