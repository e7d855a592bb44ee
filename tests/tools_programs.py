"""Runs the real programs as a user would: files, messages, exit codes, interruption and resumption.

tools_programs.py BIN_DIR DATA_DIR [unittest arguments]; ctest runs each test by itself. The data are
the bundled Fashion-MNIST sample, so that nothing depends on what a machine has elsewhere.
"""
import json
import os
import pty
import shutil
import signal
import subprocess
import unittest

from programs import BIN, DATA, PATIENCE, InFolder, environment, run, start, wait_for

# Two epochs of 3,000 steps of a small network: long enough to be interrupted in the middle.
TRAIN = ["--dataset", "fashion-mnist", "--hidden", "16", "--epochs", "2", "--batch-size", "2",
         "--schedule", "cosine", "--threads", "2", "--seed", "7"]
SHORT = ["--dataset", "fashion-mnist", "--hidden", "16", "--epochs", "2", "--batch-size", "500"]


def metrics(out):
    """The lines of a run without the times, which differ from run to run."""
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "seconds"} for line in lines]


def checkpoint_metadata(path):
    data = path.read_bytes()
    return json.loads(data[8:8 + int.from_bytes(data[:8], "little")])["__metadata__"]


class Programs(InFolder):
    def same_end(self, first, second):
        self.assertEqual((first / "model.safetensors").read_bytes(),
                         (second / "model.safetensors").read_bytes())
        self.assertEqual(metrics(first), metrics(second))
        results = [json.loads((out / "result.json").read_text()) for out in (first, second)]
        for result in results:
            del result["seconds"]
        self.assertEqual(*results)

    def test_interrupted_runs_end_like_uninterrupted_ones(self):
        whole, parts = self.folder / "whole", self.folder / "parts"
        self.assertEqual(run("train_classifier", *TRAIN, "--out", whole).returncode, 0)

        # First SIGINT in the middle of an epoch; a checkpoint of 0 batches is the end of one.
        trace = self.folder / "trace.json"
        process = start("train_classifier", *TRAIN, "--out", parts, "--profile", trace)
        wait_for((parts / "header.json").exists)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 130, errors)
        self.assertIn("continue with --resume", errors)
        self.assertIn("outside of ops", errors)  # the profile of what was done
        self.assertTrue(json.loads(trace.read_text())["traceEvents"])
        self.assertNotEqual(checkpoint_metadata(parts / "last.safetensors")["batch"], "0")
        self.assertFalse((parts / "result.json").exists())

        refused = run("train_classifier", *TRAIN, "--out", parts)
        self.assert_error(refused, 2, "--resume")

        # Then SIGTERM in the second epoch, then to the end, with another number in a free flag.
        process = start("train_classifier", *TRAIN, "--out", parts, "--resume")
        wait_for(lambda: (parts / "metrics.jsonl").exists() and metrics(parts))
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 130)
        last = run("train_classifier", *TRAIN, "--out", parts, "--resume", "--quiet")
        self.assertEqual(last.returncode, 0, last.stderr)
        self.same_end(whole, parts)

    def test_a_killed_run_resumes_from_its_last_checkpoint(self):
        whole, parts = self.folder / "whole", self.folder / "parts"
        self.assertEqual(run("train_classifier", *TRAIN, "--out", whole).returncode, 0)
        process = start("train_classifier", *TRAIN, "--out", parts)
        wait_for((parts / "last.safetensors").exists)
        process.kill()
        process.communicate(timeout=PATIENCE)
        with open(parts / "metrics.jsonl", "a") as lines:  # what a kill a moment later leaves
            lines.write('{"epoch": 2, "train_loss": 0.1}\n{"epoch": 3, "tra')
        self.assertEqual(run("train_classifier", *TRAIN, "--out", parts, "--resume").returncode, 0)
        self.same_end(whole, parts)

    def test_files_and_results(self):
        out, result = self.folder / "run", self.folder / "result.json"
        first = run("train_classifier", *SHORT, "--validation", "600", "--out", out, "--json", result)
        self.assertEqual(first.returncode, 0, first.stderr)
        self.assertRegex(first.stdout.splitlines()[-1], r"^test accuracy \d+\.\d\d %$")
        for name in ("config.toml", "header.json", "metrics.jsonl", "last.safetensors",
                     "best.safetensors", "model.safetensors", "result.json"):
            self.assertTrue((out / name).is_file(), name)
        header = json.loads((out / "header.json").read_text())
        self.assertEqual(header["program"], "train_classifier")
        self.assertEqual(header["dataset"]["train"], 6000)
        self.assertTrue(header["dataset"]["sample"])
        self.assertRegex(header["dataset"]["sha256"]["train"], "^[0-9a-f]{64}$")
        lines = metrics(out)
        self.assertEqual([line["epoch"] for line in lines], [1, 2])
        for key in ("lr", "train_loss", "train_accuracy", "validation_loss", "validation_accuracy",
                    "test_loss", "test_accuracy"):
            self.assertIsInstance(lines[0][key], float, key)
        values = json.loads(result.read_text())
        self.assertEqual(values, json.loads((out / "result.json").read_text()))
        for key in ("program", "test_accuracy", "seconds", "best_epoch", "settings", "model"):
            self.assertIn(key, values)
        best = lines[values["best_epoch"] - 1]
        self.assertEqual(values["validation_accuracy"],
                         max(line["validation_accuracy"] for line in lines))
        self.assertEqual(values["test_accuracy"], best["test_accuracy"])

        # Again: nothing to do, the same answer, and the resolved configuration says it all.
        again = run("train_classifier", "--config", out / "config.toml", "--json", "-")
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertIn("nothing to do", again.stderr)
        self.assertEqual(json.loads(again.stdout), values)  # and nothing else
        self.assertIn("test accuracy", again.stderr)
        other = run("train_classifier", "--config", out / "config.toml", "--seed", "9")
        self.assert_error(other, 2, "finished run with other settings", "seed 1, now 9")

        # From its end, a fine-tuning run begins better than it began.
        tuned = run("train_classifier", *SHORT, "--init", out, "--out", self.folder / "tuned")
        self.assertEqual(tuned.returncode, 0, tuned.stderr)
        self.assertLess(metrics(self.folder / "tuned")[0]["train_loss"], lines[0]["train_loss"])
        shutil.copy(self.folder / "tuned" / "model.safetensors", out)
        stale = run("train_classifier", *SHORT, "--init", out, "--out", self.folder / "tuned")
        self.assert_error(stale, 2, str(out), "has changed since")
        wider = run("train_classifier", *SHORT, "--init", out, "--hidden", "17")
        self.assert_error(wider, 1, "model.safetensors")

    def test_optimisers_and_schedules(self):
        for flags in (["--optimizer", "sgd", "--momentum", "0.9", "--lr", "0.05"],
                      ["--optimizer", "adamw", "--weight-decay", "0.01", "--schedule", "one-cycle"],
                      ["--model", "logistic", "--schedule", "step", "--clip", "1"]):
            flags = [*SHORT[:2], *SHORT[4:], *flags]
            with self.subTest(flags=flags):
                result = run("train_classifier", *flags, "--json", "-", "--quiet")
                self.assertEqual(result.returncode, 0, result.stderr)
                self.assertEqual(result.stderr, "")
                values = json.loads(result.stdout)
                self.assertGreater(values["test_accuracy"], 0.5)

    def test_convolutional_networks(self):
        out = self.folder / "run"
        flags = ["--dataset", "fashion-mnist", "--model", "resnet18", "--width", "4", "--lr", "0.003",
                 "--epochs", "1"]
        trace = self.folder / "trace.json"
        first = run("train_classifier", *flags, "--out", out, "--json", "-", "--profile", trace)
        self.assertEqual(first.returncode, 0, first.stderr)
        self.assertRegex(first.stderr, r"\nconv2d +[0-9.]+ +[1-9]\d* +[0-9.]+ +[1-9]\d* ")
        passes = {(event["name"], event["cat"])
                  for event in json.loads(trace.read_text())["traceEvents"]}
        self.assertLessEqual({("conv2d", "forward"), ("conv2d", "backward"),
                              ("batch_norm", "backward"), ("optimizer step", "forward")}, passes)
        values = json.loads(first.stdout)
        self.assertEqual(values["model"], "resnet18 1-4-8-16-10")
        self.assertGreater(values["test_accuracy"], 0.4)
        tuned = run("train_classifier", *flags, "--init", out, "--json", "-")
        self.assertGreater(json.loads(tuned.stdout)["test_accuracy"], values["test_accuracy"])
        plain = run("train_classifier", *flags, "--no-batch-norm", "--json", "-")
        self.assertEqual(json.loads(plain.stdout)["model"], "resnet18 1-4-8-16-10 no-batch-norm")
        self.assertGreater(json.loads(plain.stdout)["test_accuracy"], 0.2)

    def test_usage_errors(self):
        out = self.folder / "run"
        for flags, part in (
                (["--epoch", "3"], "did you mean --epochs?"),
                (["--epochs", "0"], "--epochs 0: must be at least 1"),
                (["--dataset", "imagenet"], "imagenet"),
                (["--model", "transformer"], "transformer"),
                (["--optimizer", "lion"], "one of sgd, adam, adamw"),
                (["--momentum", "0.9"], "only sgd"),
                (["--model", "logistic", "--hidden", "10"], "hidden"),
                (["--model", "resnet18"], "hidden"),
                (["--width", "16"], "no stages"),
                (["--no-batch-norm"], "never has it"),
                (["--validation", "6000"], "--validation 6000"),
                (["--device", "cuda:63"], "device 'cuda:63' was asked for, but"),
                (["--config", self.folder / "none.toml"], "none.toml"),
                (["--resume", "--out", ""], "--resume needs --out"),
                (["--config", self.folder], "is no regular file"),
                (["--json", self.folder], "is a folder"),
                (["--json", self.folder / "none" / "result.json"], "there is no folder"),
                (["--epochs", "9000000000000000000"], "at most 1000000")):
            with self.subTest(part=part):
                self.assert_error(run("train_classifier", *SHORT, "--out", out, *flags), 2, part)
                self.assertFalse(out.exists())

    def test_bad_data(self):
        out, data = self.folder / "run", self.folder / "data" / "fashion-mnist"
        flags = [*SHORT, "--out", out, "--data-dir", data.parent]
        self.assert_error(run("train_classifier", *flags), 1, str(data.parent))
        shutil.copytree(DATA / "fashion-mnist", data)
        images = data / "train-images-idx3-ubyte.gz"
        images.write_bytes(images.read_bytes()[:100000])
        self.assert_error(run("train_classifier", *flags), 1, images.name)
        self.assertFalse(out.exists())
        broken = self.folder / "model.safetensors"
        broken.write_bytes(b"\xff" * 64)
        self.assert_error(run("train_classifier", *SHORT, "--init", broken), 1, str(broken))
        self.assert_error(run("train_classifier", *SHORT, "--lr", "1e30", "--quiet"), 1, "diverged")

    def test_a_folder_that_cannot_be_made(self):
        (self.folder / "file").write_text("")
        result = run("train_classifier", *SHORT, "--out", self.folder / "file" / "run", "--quiet")
        self.assert_error(result, 1, "cannot make the folder")

    def test_one_run_at_a_time(self):
        out = self.folder / "run"
        process = start("train_classifier", *TRAIN, "--out", out)
        wait_for((out / "header.json").exists)
        process.send_signal(signal.SIGSTOP)  # so that it is there however slow the other is
        self.assert_error(run("train_classifier", *TRAIN, "--out", out), 2, "at work in it")
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGCONT)
        process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 130)

    def test_resuming_says_what_differs(self):
        out = self.folder / "run"
        process = start("train_classifier", *TRAIN, "--out", out)
        wait_for((out / "header.json").exists)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)
        at = TRAIN.index("--threads")
        process = start("train_classifier", *TRAIN[:at], *TRAIN[at + 2:], "--out", out, "--resume")
        wait_for(lambda: "resumed" in json.loads((out / "header.json").read_text()))
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 130)
        self.assertNotIn("other means", errors)  # the header's threads, not the machine's
        self.assertEqual(json.loads((out / "header.json").read_text())["resumed"][0]["threads"], 2)
        other = run("train_classifier", *TRAIN, "--out", out, "--resume", "--threads", "1")
        self.assertEqual(other.returncode, 0, other.stderr)
        self.assertIn("other means", other.stderr)
        self.assertIn("threads 2, now 1", other.stderr)
        self.assertIn("fashion-mnist (6000 training, 2000 test images): a sample", other.stderr)

    def test_help_and_version(self):
        for program in sorted(BIN.iterdir()):
            if program.name in PROGRAMS:
                with self.subTest(program=program.name):
                    text = run(program.name, "--help")
                    self.assertEqual((text.returncode, text.stderr), (0, ""))
                    self.assertIn("Example:", text.stdout)
                    self.assertIn("--version", text.stdout)
                    text = run(program.name, "--version")
                    self.assertEqual((text.returncode, text.stderr), (0, ""))
                    self.assertRegex(text.stdout, rf"^{program.name} \d+\.\d+\.\d+ \(commit \S+\)\n$")
        text = run("train_classifier", "--help").stdout
        self.assertIn("=128", text)
        self.assertIn("at least 1", text)

    def on_terminal(self, **extra):
        """What train_classifier writes to a stderr that is a terminal."""
        ours, theirs = pty.openpty()
        process = subprocess.Popen([BIN / "train_classifier", *SHORT], stdout=subprocess.DEVNULL,
                                   stderr=theirs, env=environment(TERM="xterm", CI="") | extra)
        os.close(theirs)
        text = b""
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:  # how Linux says that the other side is closed
                break
            if not part:
                break
            text += part
        os.close(ours)
        self.assertEqual(process.wait(PATIENCE), 0)
        return text.decode()

    def test_bar_only_on_a_terminal(self):
        shown = self.on_terminal(NO_COLOR="")
        self.assertIn("\x1b[32m", shown)
        self.assertIn(" left", shown)
        plain = self.on_terminal(NO_COLOR="1")
        self.assertNotIn("\x1b[32m", plain)
        self.assertIn("#", plain)
        for text in (self.on_terminal(CI="1"), self.on_terminal(TERM="dumb"),
                     run("train_classifier", *SHORT).stderr):
            self.assertNotIn("\x1b", text)
            self.assertIn("epoch 2/2", text)


PROGRAMS = {"train_classifier", "train_code", "merge_models", "report", "compare_codes",
            "reproduce"}

if __name__ == "__main__":
    unittest.main()
