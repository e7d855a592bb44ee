"""Runs the programs with --device cuda on the emulated GPU, beside the CPU.

tools_cuda.py BIN_DIR DATA_DIR [unittest arguments]; ctest runs each test by itself. The data are the
bundled samples.
"""
import json
import os
import random
import signal
import struct
import unittest

from programs import BIN, PATIENCE, InFolder, lines_of, run, shapes, start, wait_for

MLP = ["--dataset", "fashion-mnist", "--hidden", 16, "--batch-size", 100, "--epochs", 2]
CONV = ["--dataset", "image-folder", "--image-size", 8, "--model", "resnet18", "--width", 2, "--augment",
        "crop-flip", "--batch-size", 20, "--epochs", 2, "--optimizer", "sgd", "--momentum", 0.9, "--lr", 0.05]

EXPERIMENT = """title = "A small one"
source = "nobody"
[base.mlp]
hidden = [16]
epochs = 1
[[grid]]
dataset = "fashion-mnist"
base = "mlp"
code = "parity-sum"
epochs = 1
validation = 3000
batch-size = 300
[[comparison]]
dataset = "fashion-mnist"
base = "mlp"
codes = ["mean", "replication"]
k = 2
r = 1
"""


def write_pictures(folder):
    """BMP files of 8x8 pixels, bright at the top or at the bottom."""
    header = (b"BM" + struct.pack("<IHHI", 54 + 192, 0, 0, 54) +
              struct.pack("<IiiHHIIiiII", 40, 8, 8, 1, 24, 0, 192, 0, 0, 0, 0))
    draw = random.Random(1)
    for part, count in (("train", 30), ("test", 10)):
        for name, bright in (("bottom", range(4)), ("top", range(4, 8))):
            (folder / part / name).mkdir(parents=True)
            for i in range(count):
                pixels = bytes(min(255, draw.randrange(160) + (90 if row in bright else 0))
                               for row in range(8) for _ in range(24))
                (folder / part / name / f"{i}.bmp").write_bytes(header + pixels)


class Cuda(InFolder):
    def setUp(self):
        super().setUp()
        os.environ["XDG_CACHE_HOME"] = str(self.folder / "cache")  # not the user's plans

    def train(self, name, *flags, program="train_classifier"):
        out = self.folder / name
        done = run(program, *flags, "--out", out)
        self.assertEqual(done.returncode, 0, done.stderr)
        return out, lines_of(out), json.loads((out / "result.json").read_text())

    def assert_near(self, ours, theirs, delta):
        self.assertEqual(len(ours), len(theirs))
        for a, b in zip(ours, theirs):
            for key in ("train_loss", "test_loss"):
                self.assertAlmostEqual(a[key], b[key], delta=delta * b[key])
            self.assertAlmostEqual(a["test_accuracy"], b["test_accuracy"], delta=0.03)

    def test_a_classifier_is_the_same_on_both(self):
        cpu, on_cpu, _ = self.train("cpu", *MLP)
        gpu, on_gpu, result = self.train("gpu", *MLP, "--device", "cuda")
        self.assert_near(on_gpu, on_cpu, 1e-3)
        self.assertIn("emulated GPU", json.dumps(result))
        self.assertIn("fp32", json.dumps(result))
        eager = self.train("eager", *MLP, "--device", "cuda", "--no-graph")[1]
        self.assertEqual(eager, on_gpu, "steps that are recorded have other bits")
        self.assertEqual(shapes(gpu / "model.safetensors")[0], shapes(cpu / "model.safetensors")[0])
        # The file of one device is the start of another.
        again = self.train("again", *MLP, "--init", gpu)[1]
        self.assertGreater(again[0]["test_accuracy"], on_cpu[0]["test_accuracy"])

    def test_convolutions_batch_norm_and_augmentation(self):
        write_pictures(self.folder / "pictures")
        conv = [*CONV, "--data", self.folder / "pictures"]
        on_cpu = self.train("cpu", *conv)[1]
        on_gpu = self.train("gpu", *conv, "--device", "cuda")[1]
        self.assert_near(on_gpu, on_cpu, 0.02)
        eager = self.train("eager", *conv, "--device", "cuda", "--no-graph")[1]
        self.assertEqual(eager, on_gpu, "steps that are recorded have other bits")

    def test_fewer_bits_are_near(self):
        on_cpu = self.train("cpu", *MLP)[1]
        for precision in ("tf32", "bf16"):
            lines, result = self.train(precision, *MLP, "--device", "cuda", "--precision", precision)[1:]
            self.assert_near(lines, on_cpu, 0.05)
            self.assertIn(precision, json.dumps(result))

    def test_an_interrupted_run_goes_on_with_the_same_bits(self):
        flags = [*MLP, "--device", "cuda", "--epochs", 8]
        whole = self.train("whole", *flags)[1]
        out = self.folder / "parts"
        started = start("train_classifier", *flags, "--out", out)
        wait_for(lambda: (out / "metrics.jsonl").exists() and (out / "metrics.jsonl").read_text())
        started.send_signal(signal.SIGINT)
        self.assertEqual(started.wait(PATIENCE), 130, started.stderr.read())
        started.stdout.close(), started.stderr.close()
        self.assertLess(len(lines_of(out)), 8)
        self.assertEqual(self.train("parts", *flags, "--resume")[1], whole)

    def test_a_code(self):
        base = self.train("base", *MLP)[0]
        code = ["--dataset", "fashion-mnist", "--base", base, "--k", 2, "--code", "parity-concat",
                "--epochs", 1, "--batch-size", 100, "--validation", 100]
        on_cpu = self.train("cpu", *code, program="train_code")[1]
        gpu, on_gpu, _ = self.train("gpu", *code, "--device", "cuda", program="train_code")
        losses = [key for key in on_cpu[0] if "loss" in key]
        self.assertTrue(losses)
        for key in losses:
            self.assertAlmostEqual(on_gpu[0][key], on_cpu[0][key], delta=2e-3 * abs(on_cpu[0][key]), msg=key)
        eager = self.train("eager", *code, "--device", "cuda", "--no-graph", program="train_code")[1]
        self.assertEqual(eager, on_gpu)
        done = run("compare_codes", "--dataset", "fashion-mnist", "--base", base, "--k", 2, "--codes",
                   "mean,berrut", "--trained", gpu, "--validation", 100, "--device", "cuda")
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_a_merge(self):
        models = [self.train(f"model{i}", *MLP, "--seed", i)[0] for i in (1, 2)]
        rows = {}
        for device in ("cpu", "cuda"):
            rows[device] = self.train(
                device, "--models", ",".join(map(str, models)), "--datasets",
                "fashion-mnist,fashion-mnist", "--method", "average,coin,regmean,kfac,refit,distill",
                "--points", 100, "--distill-epochs", 2, "--device", device, program="merge_models")[1]
        self.assertEqual(len(rows["cuda"]), 6)
        for ours, theirs in zip(rows["cuda"], rows["cpu"]):
            self.assertAlmostEqual(ours["normalised_decoding_accuracy"],
                                   theirs["normalised_decoding_accuracy"], delta=1)

    def test_fisher_information_of_one_device_serves_on_another(self):
        models = [self.train(f"model{i}", *MLP, "--seed", i)[0] for i in (1, 2)]
        files = []
        for model in models:
            files.append(self.folder / f"{model.name}.safetensors")
            done = run("merge_models", "fisher", "--base", model, "--dataset", "fashion-mnist", "--points", 50,
                       "--file", files[-1], "--device", "cuda", "--json", "-")
            self.assertEqual(done.returncode, 0, done.stderr)
            result = json.loads(done.stdout[:done.stdout.rindex("}") + 1])
            self.assertIn("emulated GPU", result["accelerator"])
            self.assertIn("fp32", shapes(files[-1])[1]["fisher.machine"])
        self.train("merged", "--models", ",".join(map(str, models)), "--fishers", ",".join(map(str, files)),
                   "--datasets", "fashion-mnist,fashion-mnist", "--method", "coin", program="merge_models")

    def test_reproduce_measures_and_runs_there(self):
        experiment = self.folder / "small.toml"
        experiment.write_text(EXPERIMENT)
        flags = [experiment, "--out", self.folder / "out", "--device", "cuda"]
        plan = run("reproduce", *flags, "--plan")
        self.assertEqual(plan.returncode, 0, plan.stderr)
        self.assertIn("3 runs to do, 1 at once", plan.stdout)
        done = run("reproduce", *flags, "--precision", "tf32")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("2 of 2 settings", done.stdout)
        lines = [json.loads(line) for line in (self.folder / "out" / "results.jsonl").read_text().splitlines()]
        for line in lines:
            self.assertIn("emulated GPU", line["machine" if line["kind"] == "experiment" else "accelerator"])
            self.assertIn("tf32", json.dumps(line))

    @unittest.skipUnless((BIN / "bench_kernels").exists(), "built without Google Benchmark")
    def test_bench_kernels(self):
        for precision in ("fp32", "tf32", "bf16"):
            done = run("bench_kernels", "--device", "cuda", "--precision", precision,
                       "--benchmark_min_time=0.001", "--benchmark_filter=matmul/M64_N200_K784|decode/mlp")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn(f"cuDNN 9.19.0, {precision}", done.stderr)
            self.assertIn("2 benchmarks, every result right", done.stderr)

    def test_bench_steps(self):
        done = run("bench_steps", "--workload", "mlp", "--device", "cuda", "--rounds", 1, "--steps", 2)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("emulated GPU", done.stdout)

    def test_what_the_cpu_cannot(self):
        done = run("train_classifier", *MLP, "--precision", "tf32")
        self.assert_error(done, 2, "tf32", "CPU")


if __name__ == "__main__":
    unittest.main()
