#!/usr/bin/env python3
"""Times steps of training, inference and Fisher information here and in PyTorch: same numbers, same
threads, one run.

    tools/compare_pytorch.py                    every workload, as many threads as cores
    tools/compare_pytorch.py mlp --threads 2
    tools/compare_pytorch.py resnet18 --device cuda --precision tf32,bf16

First both sides take one step from the same weights and batch, and their losses and updates must
agree. Then they take turns, a round each, so that a machine that slows down slows both. The last
line of a workload is the ratio of the medians: 1.5 means a step here takes 1/1.5 of PyTorch's time.

On the CPU PyTorch runs eager, with whichever order of axes, implementation of its optimiser and way to
per-sample gradients is fastest on this machine. On a GPU it has channels_last and fused optimisers, and is
measured eager, with torch.compile, and with torch.compile and the whole step in a CUDA graph; the ratio is
to the fastest of the three, and the others stand beside it. Exit status: 0 done, 1 results differ, 2 wrong
usage, 77 PyTorch is not installed.
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

try:
    import numpy
    import safetensors.numpy
    import torch
except ImportError as error:
    print(f"compare_pytorch: {error.name} is not installed; to get it: python3 -m venv torch-venv && "
          "torch-venv/bin/pip install torch numpy safetensors, then run this with torch-venv/bin/python",
          file=sys.stderr)
    sys.exit(77)

from pytorch_side.steps import WAYS, Runner, use_precision
from pytorch_side.workloads import FORMATS, UPDATES, WORKLOADS, to_file

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Relative error of the loss, and of the joint update of all parameters in the 2-norm. Both sides sum
# in float, in different orders; Adam's first step also divides noise by noise where a gradient is 0.
# Where products are rounded to fewer bits, the two sides do not round the same factors.
LOSS_TOLERANCE = {"fp32": 1e-5, "tf32": 2e-3, "bf16": 2e-2}
UPDATE_TOLERANCE = {"fp32": 5e-3, "tf32": 5e-2, "bf16": 2e-1}
# On a GPU: what trains and infers there, and how many steps a round has.
GPU_WORKLOADS = ("mlp", "mlp-code", "conv-code", "resnet18", "resnet18-512", "resnet18-infer-64",
                 "resnet18-infer-1")
GPU_STEPS = 50


def snapshot(side):
    return {name: to_file(tensor.detach()).float().contiguous().cpu().numpy().copy()
            if tensor.is_floating_point() else tensor.detach().cpu().numpy().copy()
            for name, tensor in side.tensors().items()}


def gpu_variants():
    """Names and options as a workload's variants have them."""
    return {way: {"optimizer": UPDATES["fused"], "format": FORMATS["NHWC"], "way": way} for way in WAYS}


def best_variant(make, variants, args, precision, steps):
    """Of `variants`, the fastest: its name, a fresh workload, and the milliseconds of all. A PyTorch that
    lacks one is judged by the others. Long steps are judged by some of their images, and once."""
    def runner(options, *points):
        torch.manual_seed(args.seed)
        way = options.get("way", "eager") if args.device == "cuda" else "eager"
        return Runner(make(options, *points), args.device, precision, way)

    timed = {}
    trial = getattr(make, "trial_points", None)
    share = trial / make.points if trial else 1
    for name, options in variants.items():
        try:
            trial_run = runner(options, *([trial] if trial else []))
            timed[name] = statistics.median(trial_run.milliseconds(max(1, steps // 4))
                                            for _ in range(1 if trial else 3)) / share
        except (TypeError, RuntimeError) as error:
            print(f"  PyTorch's {name} is left out: {str(error).splitlines()[0]}")
    name = min(timed, key=timed.get)
    return name, runner(variants[name]), timed


class Ours:
    """bench_steps, started once and given a turn by a line on its stdin."""

    def __init__(self, workload, folder, problem, args, precision, rounds, steps):
        safetensors.numpy.save_file(problem, folder / "problem.safetensors")
        self.process = subprocess.Popen(
            [args.bench, "--workload", workload, "--problem", folder / "problem.safetensors",
             "--after", folder / "after.safetensors", "--on-demand", "--rounds", str(rounds),
             "--steps", str(steps), "--threads", str(args.threads), "--device", args.device,
             "--precision", precision],
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


def compare(workload, args, precision):
    make, steps, variants = WORKLOADS[workload]
    on_gpu = args.device == "cuda"
    steps = args.steps or (GPU_STEPS if on_gpu else steps)
    variants = gpu_variants() if on_gpu else variants
    use_precision(precision)
    loss_tolerance = LOSS_TOLERANCE[precision]
    update_tolerance = max(getattr(make, "update_tolerance", 0), UPDATE_TOLERANCE[precision])
    if precision == "fp32":
        update_tolerance = getattr(make, "update_tolerance", update_tolerance)
    most_rounds = min(args.rounds, getattr(make, "rounds", args.rounds))
    print(f"\n{workload}: {make.__doc__}; {precision}")
    variant, theirs, timed = best_variant(make, variants, args, precision, steps)
    print("  PyTorch's variants: " + ", ".join(f"{name} {ms:.3f}" for name, ms in timed.items())
          + f" ms a step; taken: {variant}")
    with tempfile.TemporaryDirectory() as folder:
        before = snapshot(theirs.side)
        ours = Ours(workload, pathlib.Path(folder), before, args, precision, most_rounds, steps)
        loss = theirs.first_step()
        rounds = {"ours": [ours.round()], "theirs": []}  # its first step is taken by now
        errors = differences(before, ours.after(), snapshot(theirs.side), loss,
                             getattr(make, "by_tensor", False))
        agree = errors[0] <= loss_tolerance and errors[1] <= update_tolerance
        print(f"  after one step: loss {loss:.6g}, relative difference {errors[0]:.1e} (at most "
              f"{loss_tolerance:g}); update differs by {errors[1]:.1e} (at most {update_tolerance:g}): "
              + ("agree" if agree else "DIFFER"))
        rounds["theirs"].append(theirs.milliseconds(steps))
        while len(rounds["theirs"]) < most_rounds:
            rounds["ours"].append(ours.round())
            rounds["theirs"].append(theirs.milliseconds(steps))
        final = ours.answer()
        ours.process.wait()
    medians = {name: statistics.median(values) for name, values in rounds.items()}
    ratio = medians["theirs"] / medians["ours"]
    ranges = {name: f"{min(values):.3f} to {max(values):.3f}" for name, values in rounds.items()}
    print(f"  PyTorch    {medians['theirs']:9.3f} ms a step, median of {most_rounds} rounds of {steps}"
          f" ({ranges['theirs']})")
    print(f"  understudy {medians['ours']:9.3f} ms a step, {final['device'] if on_gpu else final['instruction_set']}"
          f" ({ranges['ours']})")
    # PyTorch's is that of this process, so of all workloads up to this one.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(f"  peak memory of the process: PyTorch {peak:.0f} MB so far, understudy "
          f"{final['peak_mb']:.0f} MB")
    best = min(rounds["theirs"]) / min(rounds["ours"])
    print(f"  ratio      {ratio:9.2f} x PyTorch ({best:.2f} between the best rounds)" if agree
          else "  no ratio: the results differ")
    others = {name: ms for name, ms in timed.items()
              if name != variant and (on_gpu or name.startswith("torch.func"))}
    if agree and others and (on_gpu or not variant.startswith("torch.func")):
        for name, ms in others.items() if on_gpu else [min(others.items(), key=lambda item: item[1])]:
            print(f"             {ms / medians['ours']:9.2f} x {name}, by its time above")
    return {"workload": workload, "precision": precision, "agree": agree, "loss_error": errors[0],
            "update_error": errors[1], "pytorch_variant": variant, "pytorch_variants": timed,
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
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="default: %(default)s")
    parser.add_argument("--precision", default="", help="of products, on a GPU any of fp32,tf32,bf16; "
                        "default: all three there, fp32 on the CPU")
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

    on_gpu = args.device == "cuda"
    if on_gpu and not torch.cuda.is_available():
        sys.exit("compare_pytorch: --device cuda: PyTorch sees no GPU here")
    precisions = args.precision.split(",") if args.precision else (
        ["fp32", "tf32", "bf16"] if on_gpu else ["fp32"])
    if not set(precisions) <= (set(LOSS_TOLERANCE) if on_gpu else {"fp32"}):
        parser.error(f"--precision {args.precision}: expected fp32" + (", tf32 or bf16" if on_gpu else
                                                                       " on the CPU"))

    torch.set_num_threads(args.threads)
    torch.set_default_device(args.device)
    version = subprocess.run([args.bench, "--version"], capture_output=True, text=True,
                             check=True).stdout.strip()
    where = cpu_name()
    if on_gpu:
        where = f"{torch.cuda.get_device_name()}, PyTorch's cuDNN {torch.backends.cudnn.version()}; {where}"
    print(f"{where}; {args.threads} threads on each side, seed {args.seed}\n"
          f"PyTorch {torch.__version__}, Python {sys.version.split()[0]}; {version}")
    usual = GPU_WORKLOADS if on_gpu else [name for name in WORKLOADS if name != "resnet18-512"]
    results = [compare(workload, args, precision) for workload in args.workloads or usual
               for precision in precisions]
    if args.json:
        args.json.write_text(json.dumps({"machine": where, "device": args.device, "threads": args.threads,
                                         "seed": args.seed, "pytorch": torch.__version__,
                                         "version": version, "results": results}, indent=2) + "\n")
    return 0 if all(result["agree"] for result in results) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
