"""Runs merge_models as a user would: files, messages, exit codes, resumption.

tools_merges.py BIN_DIR DATA_DIR [unittest arguments]; ctest runs each test by itself. The data are the
bundled samples.
"""
import json
import shutil
import struct
import unittest

from programs import InFolder, lines_of, run, shapes, without_times

BASE = ["--dataset", "fashion-mnist", "--epochs", "1", "--hidden", "16", "--batch-size", "100"]


def back_to_first_row(out):
    """Makes a finished merge one that was interrupted after its first method: the checkpoint, which
    holds no tensors but the rows in its metadata, knows the first alone."""
    last = out / "last.safetensors"
    data = last.read_bytes()
    header = json.loads(data[8:8 + int.from_bytes(data[:8], "little")])
    metadata = header["__metadata__"]
    metadata["epoch"] = "1"
    metadata["text/rows"] = json.dumps(json.loads(metadata["text/rows"])[:1])
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    last.write_bytes(len(text).to_bytes(8, "little") + text)
    (out / "result.json").unlink()


class Merges(InFolder):
    def setUp(self):
        super().setUp()
        self.base = self.trained("base")
        self.other = self.trained("other", "--dataset", "cifar-10-grey28", "--init", self.base)
        self.pair = ["--models", f"{self.base},{self.other}", "--datasets",
                     "fashion-mnist,cifar-10-grey28", "--points", 100]

    def trained(self, name, *flags):
        out = self.folder / name
        done = run("train_classifier", *BASE, "--out", out, *flags)
        self.assertEqual(done.returncode, 0, done.stderr)
        return out

    def merged(self, name, *flags):
        out = self.folder / name
        done = run("merge_models", *flags, "--out", out)
        self.assertEqual(done.returncode, 0, done.stderr)
        return out, json.loads((out / "result.json").read_text()), done

    def test_merge_files_results_and_resumption(self):
        flags = [*self.pair, "--method", "average,coin,refit,coin+refit"]
        whole, parts = self.folder / "whole", self.folder / "parts"
        first = run("merge_models", *flags, "--out", whole)
        self.assertEqual(first.returncode, 0, first.stderr)
        self.assertRegex(first.stdout.splitlines()[-1],
                         r"^normalised decoding accuracy: average .* %, coin .* %, refit .* %, "
                         r"coin\+refit .* %$")
        result = json.loads((whole / "result.json").read_text())
        self.assertEqual([row["method"] for row in result["rows"]],
                         ["average", "coin", "refit", "coin+refit"])
        for key in ("test_accuracy", "test_recovery_accuracy", "test_overall_accuracy", "encode_us",
                    "decode_us", "decode_us_in_batch", "merge_seconds", "seconds"):
            self.assertIsInstance(result[key], float, key)
        self.assertEqual(result["encode_us"], 0)  # the merge happened once, before any query
        best = max(result["rows"], key=lambda row: row["normalised_decoding_accuracy"])
        self.assertEqual(result["best_method"], best["method"])
        self.assertEqual(result["test_recovery_accuracy"], best["recovery_accuracy"])
        self.assertEqual(result["test_overall_accuracy"], best["decoded_accuracy"])
        self.assertIn("recovered", first.stdout)
        for row in result["rows"]:
            for mean, each in (("recovery_accuracy",) * 2, ("decoded_accuracy",) * 2):
                self.assertAlmostEqual(row[mean], sum(t[each] for t in row["tasks"]) / 2)
            self.assertAlmostEqual(result["test_accuracy"],
                                   sum(t["base_accuracy"] for t in row["tasks"]) / 2)
            own = [100 * t["decoded_accuracy"] / t["base_accuracy"] for t in row["tasks"]]
            self.assertAlmostEqual(row["normalised_decoding_accuracy"], sum(own) / 2)
        tensors, metadata = shapes(whole / "coin.safetensors")
        self.assertEqual(tensors, shapes(self.base / "model.safetensors")[0])
        self.assertEqual(metadata["merge.method"], "coin")
        # A coded network is a network: it serves as the base of a code like any other.
        self.assertEqual(metadata["model"], "mlp 784-16-10")

        # A merge is over too soon to be interrupted at a known place.
        shutil.copytree(whole, parts)
        back_to_first_row(parts)
        (parts / "average.safetensors").unlink()
        self.assert_error(run("merge_models", *flags, "--out", parts), 2, "--resume")
        last = run("merge_models", *flags, "--out", parts, "--resume")
        self.assertEqual(last.returncode, 0, last.stderr)
        self.assertNotIn("average: normalised", last.stderr)
        self.assertFalse((parts / "average.safetensors").exists())  # done before, not again
        self.assertIn("coin: normalised", last.stderr)
        self.assertEqual(lines_of(whole), lines_of(parts))
        self.assertEqual(without_times(result),
                         without_times(json.loads((parts / "result.json").read_text())))
        self.assertEqual((whole / "model.safetensors").read_bytes(),
                         (parts / "model.safetensors").read_bytes())

    def test_merge_refuses_what_cannot_be(self):
        wide = self.trained("wide", "--hidden", "17")
        pair = ["--datasets", "fashion-mnist,fashion-mnist"]
        self.assert_error(run("merge_models", *pair), 2, "--models")
        self.assert_error(run("merge_models", "--models", f"{self.base},{wide}", *pair), 1,
                          "0.weight", "(16,784)", "(17,784)")
        same = ["--models", f"{self.base},{self.base}"]
        self.assert_error(run("merge_models", *same, "--datasets", "mnist"), 2, "1 for 2 models")
        self.assert_error(run("merge_models", *same, *pair, "--method", "coin+magic"), 2, "magic",
                          "average, ties, coin")
        for method, reason in (("coin+", "empty"), ("coin+coin", "twice"), ("coin,coin", "twice"),
                               ("refit+coin", "would undo")):
            self.assert_error(run("merge_models", *same, *pair, "--method", method), 2, reason)
        self.assert_error(run("merge_models", *same, "--datasets", "fashion-mnist,cifar-10"), 2,
                          "--datasets", "cifar-10", str(self.base), "mlp 784-16-10")
        self.assert_error(run("merge_models", *same, *pair, "--weights", "1,x"), 2, "'x'")
        self.assert_error(run("merge_models", *same, *pair, "--weights", "1,-1"), 2, "-1")
        self.assert_error(run("merge_models", *same, *pair, "--points", 6001), 2, "6001", "6000")
        self.assert_error(run("merge_models", *same, *pair, "--method", "ties"), 2, "--start")
        self.assert_error(run("merge_models", *same, "--method", "coin"), 2, "--datasets")
        self.assert_error(run("merge_models", *same, "--weights", "best", "--method", "average"), 2,
                          "--datasets")
        self.assert_error(run("merge_models", *same, *pair, "--weights", "1,1;1,2;2,1"), 2,
                          "3 coded models for 2")
        self.assert_error(run("merge_models", *same, *pair, "--weights", "1,0"), 2, "--weights",
                          "model 2 late")
        self.assert_error(run("merge_models", *same, *pair, "--weights", "1,1;2,2"), 2, "--weights",
                          "models 1 and 2 late")
        self.assert_error(run("merge_models", *same, *pair, "--fisher", "exact"), 2, "empirical",
                          "exact")
        self.assert_error(run("merge_models", *same, *pair, "--damping", "-1"), 2, "-1")
        self.assert_error(run("merge_models", *same, *pair, "--points", 5900, "--weights", "best"),
                          2, "--validation", "5900 points")

    def test_every_choice_has_its_row(self):
        _, result, done = self.merged(
            "rows", *self.pair[:-1], "20,50", "--method", "average,regmean,coin,refit",
            "--fisher", "gaussian,empirical", "--fisher-data", "own,union", "--damping", "0,0.01")
        keys = [(row["method"], row["points"], row["fisher"], row["fisher_data"], row["damping"])
                for row in result["rows"]]
        self.assertEqual(len(set(keys)), len(keys))
        count = {name: sum(key[0] == name for key in keys) for name in ("average", "regmean", "coin",
                                                                       "refit")}
        self.assertEqual(count, {"average": 1, "regmean": 4, "coin": 16, "refit": 2})
        self.assertIn(("average", None, None, None, None), keys)
        self.assertIn(("coin", 20, "empirical", "union", 0.01), keys)
        self.assertIn(("refit", 50, None, None, None), keys)
        self.assertEqual(len({row["label"] for row in result["rows"]}), len(keys))
        self.assertIn("coin P=50 empirical union damping=0.01", done.stdout)
        for row in result["rows"]:
            self.assertGreater(row["peak_bytes"], 0)
        needs = {row["method"]: row["needs"] for row in result["rows"]}
        self.assertEqual(needs, {"average": "nothing", "regmean": "points", "refit": "points",
                                 "coin": "points, labels, gradients"})  # of its last row, empirical
        self.assertRegex(done.stdout.splitlines()[-1], r"^normalised decoding accuracy, best: ")

    def test_distillation_has_a_curve(self):
        _, result, _ = self.merged("curve", *self.pair, "--method", "distill,coin+refit+distill",
                                   "--distill-epochs", 3, "--curve", 50)
        for row in result["rows"]:
            self.assertEqual([point["epoch"] for point in row["curve"]], [1, 2, 3])
            seconds = [point["seconds"] for point in row["curve"]]
            self.assertEqual(seconds, sorted(seconds))
            # The row has the work before the first epoch too.
            self.assertGreater(row["seconds"], seconds[-1])
            for point in row["curve"]:
                for key in ("train_loss", "train_normalised_decoding_accuracy",
                            "normalised_decoding_accuracy"):
                    self.assertGreaterEqual(point[key], 0)

    def test_two_coded_models_and_weights_that_are_found(self):
        out, result, done = self.merged("two", *self.pair, "--method", "average,coin", "--weights",
                                        "1,1;1,3")
        self.assertEqual(result["weights"], [[0.5, 0.5], [0.25, 0.75]])
        self.assertEqual(result["extra_machines_percent"], 100)
        for row in result["rows"]:
            self.assertEqual([late["late"] for late in row["by_late"]], [1, 2])
            self.assertGreater(row["by_late"][1]["worst_condition"], 4)
        self.assertTrue((out / "coin-2.safetensors").is_file())
        self.assertIn("errors grow by", done.stdout)
        _, result, done = self.merged("best", *self.pair, "--method", "coin", "--weights", "best",
                                      "--validation", 60)
        row = result["rows"][0]
        self.assertLessEqual(row["searched"]["error"], row["searched"]["error_of_equal_weights"])
        self.assertAlmostEqual(sum(row["weights"]), 1)
        self.assertGreater(row["seconds"], row["searched"]["seconds"])
        self.assertIn("β of coin", done.stdout)

    def test_fisher_files_replace_data(self):
        files = []
        for model, data in ((self.base, "fashion-mnist"), (self.other, "cifar-10-grey28")):
            files.append(self.folder / f"{data}.safetensors")
            done = run("merge_models", "fisher", "--base", model, "--dataset", data, "--points", 40,
                       "--file", files[-1], "--explain")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("0.weight", done.stdout)
            tensors, metadata = shapes(files[-1])
            self.assertEqual(tensors, shapes(model / "model.safetensors")[0])
        models = ["--models", f"{self.base},{self.other}"]
        out, result, done = self.merged("blind", *models, "--method", "average,coin", "--fishers",
                                        f"{files[0]},{files[1]}")
        self.assertIn("not scored", done.stdout)
        self.assertNotIn("tasks", result)
        self.assertEqual([row["needs"] for row in result["rows"]], ["nothing", "Fisher files"])
        self.assertEqual(shapes(out / "coin.safetensors")[1]["merge.fisher"], "given")
        self.assertNotEqual((out / "coin.safetensors").read_bytes()[-1000:],
                            (out / "average.safetensors").read_bytes()[-1000:])
        # In the other order they belong to other networks.
        self.assert_error(run("merge_models", *models, "--method", "coin", "--fishers",
                              f"{files[1]},{files[0]}"), 1, "cifar-10-grey28.safetensors")
        self.assert_error(run("merge_models", "fisher", "--base", self.base), 2, "--file")

    def test_explain_and_a_start(self):
        _, result, done = self.merged("why", *self.pair, "--method", "ties,rebasin+coin", "--start",
                                      self.base, "--explain")
        self.assertIn("from start", done.stdout)
        tensors = result["explanation"]
        self.assertEqual(tensors[0]["name"], "0.weight")
        self.assertEqual(tensors[0]["from_start"][0], 0)  # the first model is the start
        self.assertGreater(tensors[0]["from_start"][1], 0)
        for model in range(2):
            self.assertAlmostEqual(sum(tensor["fisher_share"][model] for tensor in tensors), 1)

    def test_files_of_other_programs(self):
        """A safetensors file as PyTorch writes it: names and tensors, nothing of the model."""
        data = (self.base / "model.safetensors").read_bytes()
        length = int.from_bytes(data[:8], "little")
        header = json.loads(data[8:8 + length])
        header["__metadata__"] = {"format": "pt"}
        text = json.dumps(header).encode()
        bare = self.folder / "bare.safetensors"
        bare.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length:])
        flags = ["--models", f"{bare},{self.other}", *self.pair[2:], "--method", "coin"]
        self.assert_error(run("merge_models", *flags), 1, "bare.safetensors")
        done = run("merge_models", *flags, "--model", "mlp 784-16-10")
        self.assertEqual(done.returncode, 0, done.stderr)
        # The coded network serves like any other.
        out, _, _ = self.merged("served", *self.pair, "--method", "coin")
        done = run("train_code", "--dataset", "fashion-mnist", "--base", out, "--k", 2, "--encoder",
                   "mean", "--epochs", 1, "--validation", 300)
        self.assertEqual(done.returncode, 0, done.stderr)
        done = run("compare_codes", "--dataset", "fashion-mnist", "--base", out, "--codes", "mean",
                   "--k", 2)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_networks_with_convolutions(self):
        deep = {}
        for name, flags in (("normed", []), ("plain", ["--no-batch-norm"])):
            deep[name] = self.folder / name
            done = run("train_classifier", "--dataset", "cifar-10", "--model", "resnet18", "--width",
                       2, "--epochs", 1, "--out", deep[name], *flags)
            self.assertEqual(done.returncode, 0, done.stderr)
        for name, model in deep.items():
            pair = ["--models", f"{model},{model}", "--datasets", "cifar-10,mnist-rgb32", "--points",
                    20, "--distill-epochs", 1]
            _, result, _ = self.merged(
                name + "-merged", *pair, "--method",
                "average,regmean-conv,coin,kfac,rebasin+average,sequential,coin+refit+distill")
            # A model merged with itself is itself, but for batch norm's statistics.
            if name == "plain":
                for row in result["rows"][:4]:
                    self.assertGreater(row["recovery_accuracy"], 0.98, row["method"])
        self.assert_error(run("merge_models", "--models", f"{deep['normed']},{deep['plain']}",
                              "--datasets", "cifar-10,cifar-10"), 1, "bn1.weight", "only in")
        report = run("report", self.folder / "plain-merged", "--out", self.folder / "report.html")
        self.assertEqual(report.returncode, 0, report.stderr)
        self.assertIn("resnet18 3-2-4-8-16-10", (self.folder / "report.html").read_text())


if __name__ == "__main__":
    unittest.main()
