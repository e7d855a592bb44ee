"""Runs train_code as a user would: files, messages, exit codes, resumption.

tools_codes.py BIN_DIR DATA_DIR [unittest arguments]; ctest runs each test by itself. The data are the
bundled samples.
"""
import json
import signal
import unittest

from programs import PATIENCE, InFolder, lines_of, run, shapes, start, wait_for, without_times

BASE = ["--dataset", "fashion-mnist", "--epochs", "1", "--hidden", "16", "--batch-size", "100"]
CODE = ["--dataset", "fashion-mnist", "--k", "2", "--epochs", "2", "--validation", "3000",
        "--batch-size", "300", "--threads", "2", "--seed", "5"]


class Codes(InFolder):
    def setUp(self):
        super().setUp()
        self.base = self.trained("base")

    def trained(self, name, *flags):
        out = self.folder / name
        done = run("train_classifier", *BASE, "--out", out, *flags)
        self.assertEqual(done.returncode, 0, done.stderr)
        return out

    def test_augmented_training(self):
        for name, augment in (("plain", "auto"), ("moved", "crop-flip")):
            done = run("train_code", *CODE, "--base", self.base, "--augment", augment, "--out",
                       self.folder / name)
            self.assertEqual(done.returncode, 0, done.stderr)
            other = run("train_code", *CODE, "--base", self.base, "--augment", augment, "--out",
                        self.folder / (name + "-alone"), "--workers", "0")
            self.assertEqual(other.returncode, 0, other.stderr)
            self.assertEqual(*(lines_of(self.folder / each) for each in (name, name + "-alone")))
            self.assertEqual("cropped and flipped for the encoder" in done.stderr, name == "moved")
        # The answers that the code learns to reconstruct are those to the images as they are, and
        # so are all images of the evaluation.
        plain, moved = (json.loads((self.folder / name / "result.json").read_text())
                        for name in ("plain", "moved"))
        self.assertEqual(moved["test_accuracy"], plain["test_accuracy"])
        self.assertNotEqual(lines_of(self.folder / "moved")[0]["train_loss"],
                            lines_of(self.folder / "plain")[0]["train_loss"])

    def test_code_files_results_and_resumption(self):
        whole, parts = self.folder / "whole", self.folder / "parts"
        first = run("train_code", *CODE, "--base", self.base, "--out", whole)
        self.assertEqual(first.returncode, 0, first.stderr)
        self.assertRegex(first.stdout.splitlines()[-1], r"^test recovery-accuracy \d+\.\d\d %$")
        for name in ("config.toml", "header.json", "metrics.jsonl", "last.safetensors",
                     "best.safetensors", "model.safetensors", "result.json"):
            self.assertTrue((whole / name).is_file(), name)
        result = json.loads((whole / "result.json").read_text())
        for key in ("test_accuracy", "test_recovery_accuracy", "test_overall_accuracy", "encode_us",
                    "decode_us", "seconds", "extra_machines_percent",
                    "test_accuracy_10_percent_unavailable", "no_code_accuracy"):
            self.assertIsInstance(result[key], float, key)
        self.assertEqual(result["extra_machines_percent"], 50)
        self.assertEqual(result["encode_multiply_adds"], 1568 * 1568 + 1568 * 784)
        late = 0.9 * result["test_accuracy"] + 0.1 * result["test_overall_accuracy"]
        self.assertAlmostEqual(result["test_accuracy_10_percent_unavailable"], late)
        samples, _ = shapes(whole / "samples.safetensors")
        self.assertEqual(samples, {"inputs": ("U8", [6, 2, 28, 28, 1]), "labels": ("I64", [6, 2]),
                                   "parities": ("F32", [6, 1, 28, 28, 1])})
        tensors, metadata = shapes(whole / "model.safetensors")
        self.assertEqual(tensors["encoder.fc1.weight"], ("F32", [1568, 1568]))
        self.assertEqual(metadata["understudy.k"], "2")

        process = start("train_code", *CODE, "--base", self.base, "--out", parts)
        wait_for((parts / "header.json").exists)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 130, errors)
        self.assertIn("continue with --resume", errors)
        self.assert_error(run("train_code", *CODE, "--base", self.base, "--out", parts), 2,
                          "--resume")
        last = run("train_code", *CODE, "--base", self.base, "--out", parts, "--resume")
        self.assertEqual(last.returncode, 0, last.stderr)
        for name in ("model.safetensors", "samples.safetensors"):
            self.assertEqual((whole / name).read_bytes(), (parts / name).read_bytes(), name)
        self.assertEqual(lines_of(whole), lines_of(parts))
        self.assertEqual(without_times(result),
                         without_times(json.loads((parts / "result.json").read_text())))

        again = run("train_code", *CODE, "--base", self.base, "--out", whole)
        self.assertIn("nothing to do", again.stderr)
        self.assertEqual(again.stdout, first.stdout)

    def interrupted_and_resumed(self, *flags):
        """A whole run, and one of the same settings that was stopped on its way and continued; both
        end in the same bytes."""
        whole, parts = self.folder / "whole", self.folder / "parts"
        done = run("train_code", *flags, "--out", whole)
        self.assertEqual(done.returncode, 0, done.stderr)
        process = start("train_code", *flags, "--out", parts)
        wait_for((parts / "header.json").exists)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 130, errors)
        last = run("train_code", *flags, "--out", parts, "--resume")
        self.assertEqual(last.returncode, 0, last.stderr)
        for name in ("model.safetensors", "samples.safetensors"):
            self.assertEqual((whole / name).read_bytes(), (parts / name).read_bytes(), name)
        self.assertEqual(lines_of(whole), lines_of(parts))
        first, second = (json.loads((each / "result.json").read_text()) for each in (whole, parts))
        self.assertEqual(without_times(first), without_times(second))
        return whole, done, first

    def test_parity_models_of_sums(self):
        out, done, result = self.interrupted_and_resumed(
            *CODE, "--base", self.base, "--code", "parity-sum", "--r", "2", "--epochs", "20")
        self.assertIn("parity models (sum) over mlp 784-16-10: k = 2, r = 2, mse loss", done.stdout)
        self.assertRegex(done.stdout.splitlines()[-1], r"^test recovery-accuracy \d+\.\d\d %$")
        self.assertIn("base model's answers to 8000 images", done.stderr)
        self.assertEqual(result["settings"]["code"], "parity-sum")
        self.assertEqual(result["encode_multiply_adds"], 2 * 2 * 784)
        self.assertEqual(result["parity_model_multiply_adds"], result["base_multiply_adds"])
        self.assertEqual(result["parameters"], 2 * (784 * 16 + 16 + 160 + 10))
        self.assertIs(result["learned"], True)
        self.assertIsInstance(result["test_recovery_accuracy_2_missing"], float)
        tensors, metadata = shapes(out / "model.safetensors")
        self.assertEqual(tensors["parity1.0.weight"], ("F32", [16, 784]))
        self.assertEqual(metadata["understudy.kind"], "parity-models")
        base = json.loads((out / "header.json").read_text())["dataset"]["base"]
        self.assertEqual(metadata["understudy.base.model"], base["model"])
        self.assertEqual(metadata["understudy.base.sha256"], base["sha256"])
        self.assertEqual(base["model"], "mlp 784-16-10")

    def test_parity_models_of_concatenations(self):
        flags = [*CODE, "--base", self.base, "--code", "parity-concat", "--k", "4",
                 "--schedule", "one-cycle"]
        _, done, result = self.interrupted_and_resumed(*flags, "--epochs", "20")
        self.assertIn("parity models (concat)", done.stdout)
        self.assertEqual(result["extra_machines_percent"], 25)
        self.assertEqual(result["encode_multiply_adds"], 4 * 784)
        samples, _ = shapes(self.folder / "whole" / "samples.safetensors")
        self.assertEqual(samples["parities"], ("F32", [6, 1, 28, 28, 1]))
        for wrong, parts in ((["--loss", "kl"], ("--loss kl", "parity-concat")),
                             (["--encoder", "conv"], ("--encoder conv", "parity-concat")),
                             (["--channels", "interleaved"], ("--channels interleaved",)),
                             (["--code", "parity"], ("parity-sum",))):
            self.assert_error(run("train_code", *flags, *wrong), 2, *parts)

    def test_encoders_without_parameters(self):
        flags = [*CODE, "--base", self.base, "--encoder", "mean", "--epochs", "40"]
        out, done, result = self.interrupted_and_resumed(*flags)
        self.assertIn("learned (mean), k = 2, r = 1, 1970 parameters", done.stderr)
        self.assertEqual(result["encode_multiply_adds"], 2 * 784)
        tensors, _ = shapes(out / "last.safetensors")
        self.assertEqual({name.split("/")[0] for name in tensors}, {"code", "optimizer.decoder"})

        # A run that began before there was a choice of codes is a run of a learned one.
        header = json.loads((out / "header.json").read_text())
        self.assertEqual(header["settings"].pop("code"), "learned")
        (out / "header.json").write_text(json.dumps(header))
        again = run("train_code", *flags, "--out", out)
        self.assertIn("nothing to do", again.stderr)
        self.assert_error(run("train_code", *CODE, "--base", self.base, "--epochs", "40", "--code",
                              "parity-sum", "--out", out), 2, 'code "learned", now "parity-sum"')

    def test_a_code_that_has_not_learned_says_so(self):
        out = self.folder / "failed"
        done = run("train_code", *CODE, "--base", self.base, "--epochs", 1, "--lr", 1e-12,
                   "--quiet", "--out", out)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("THE CODE HAS NOT LEARNED", done.stdout)
        self.assertIs(json.loads((out / "result.json").read_text())["learned"], False)

        # A long run says so on its way.
        done = run("train_code", *CODE, "--base", self.base, "--encoder", "mean", "--epochs", 6,
                   "--lr", 1e-12)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stderr.count("NOTHING LEARNED so far"), 1, done.stderr)
        self.assertIn("epoch 5/6  NOTHING LEARNED so far", done.stderr)

        out = self.folder / "learned"
        done = run("train_code", *CODE, "--base", self.base, "--validation", 600, "--epochs", 5,
                   "--lr", 3e-3, "--out", out)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("NOT LEARNED", done.stdout)
        self.assertIs(json.loads((out / "result.json").read_text())["learned"], True)

    def test_code_refuses_what_cannot_be(self):
        self.assert_error(run("train_code", *CODE), 2, "--base is needed")
        self.assert_error(run("train_code", *CODE, "--base", self.base, "--batch-size", 301), 2,
                          "301", "--k 2")
        self.assert_error(run("train_code", *CODE, "--base", self.base, "--loss", "l1"), 2, "mse")
        self.assert_error(run("train_code", *CODE, "--base", self.base, "--validation", 3001), 2,
                          "3001", "--validation 500 will do")
        code = self.folder / "code"
        done = run("train_code", *CODE, "--base", self.base, "--epochs", 1, "--validation", 500,
                   "--out", code)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assert_error(run("train_code", *CODE, "--base", code), 2, "--base", "learned-code",
                          "not a classifier")
        self.assert_error(run("train_code", *CODE, "--base", self.base, "--dataset", "cifar-10",
                              "--validation", 500), 2, "--base", "784 expected")
        self.assert_error(run("train_code", *CODE, "--base", self.folder / "nothing"), 1, "nothing")

    def test_networks_with_convolutions(self):
        deep = self.folder / "deep"
        done = run("train_classifier", "--dataset", "cifar-10", "--model", "resnet18", "--width",
                   "2", "--epochs", "1", "--out", deep)
        self.assertEqual(done.returncode, 0, done.stderr)
        code = self.folder / "code"
        done = run("train_code", "--dataset", "cifar-10", "--base", deep, "--encoder", "mlp",
                   "--loss", "kl", "--epochs", "1", "--validation", "500", "--out", code)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("over resnet18 3-2-4-8-16-10", done.stderr)
        result = json.loads((code / "result.json").read_text())
        self.assertEqual(result["test_accuracy"],
                         json.loads((deep / "result.json").read_text())["test_accuracy"])
        self.assert_error(run("train_code", "--dataset", "mnist", "--base", deep), 2, "--base",
                          "(N,H,W,3)")

        report = run("report", deep, code, "--out", self.folder / "report.html")
        self.assertEqual(report.returncode, 0, report.stderr)
        self.assertIn("resnet18 3-2-4-8-16-10", (self.folder / "report.html").read_text())


if __name__ == "__main__":
    unittest.main()
