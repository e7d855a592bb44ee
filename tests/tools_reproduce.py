"""Runs reproduce as a user would, on the programs beside it: a whole experiment, interruption and
continuation, failures, budgets.

tools_reproduce.py BIN_DIR DATA_DIR [unittest arguments]; ctest runs each test by itself. The data
are the bundled samples.
"""
import json
import re
import signal
import unittest

from programs import PATIENCE, InFolder, run, start, wait_for

BASE = """title = "A small one"
source = "nobody"
[base.mlp]
hidden = [16]
epochs = 1
"""
GRID = """[[grid]]
dataset = "fashion-mnist"
base = "mlp"
loss = ["mse", "kl"]
epochs = 2
published-epochs = 500
validation = 3000
batch-size = 300
"""
COMPARISON = """[[comparison]]
dataset = "fashion-mnist"
base = "mlp"
codes = ["none", "replication"]
k = [2, 5]
r = 1
"""
PARITY = """[[grid]]
dataset = "fashion-mnist"
base = "mlp"
code = "parity-sum"
epochs = 1
validation = 3000
batch-size = 300
"""
MERGE = """title = "Coded models"
notes = ["In words."]
[start.mlp]
hidden = [16]
epochs = 1
[fine-tune.mlp]
hidden = [16]
epochs = 1
[[merge]]
tasks = ["fashion-mnist", "fashion-mnist-rotated"]
initialisation = ["pretrained", "independent"]
start = "cifar-10-grey28"
base = "mlp"
methods = ["average", "coin", "distill"]
points = [20, 50]
distill-epochs = 2
curve = 30
"""
# Many short steps, so that it is interrupted in the middle.
LONG = GRID.replace("batch-size = 300", "batch-size = 20")
CODES = [f"code-fashion-mnist-mlp-k2-r1-mlp-{loss}-batch-size-300-validation-3000-seed1"
         for loss in ("mse", "kl")]
LONG_CODES = [name.replace("300-v", "20-v") for name in CODES]


class Reproduce(InFolder):
    def setUp(self):
        super().setUp()
        self.out = self.folder / "out"

    def experiment(self, *parts):
        file = self.folder / "small.toml"
        file.write_text(BASE + "".join(parts))
        return [file, "--out", self.out]

    def results(self):
        return [json.loads(line) for line in (self.out / "results.jsonl").read_text().splitlines()]

    def values(self):
        """What the runs obtained, without what differs from run to run."""
        return {line["setting"]: {k: v for k, v in line["values"].items() if "_us" not in k}
                for line in self.results() if line["kind"] == "result"}

    def test_an_experiment_from_beginning_to_end(self):
        flags = self.experiment(GRID, COMPARISON, PARITY)
        done = run("reproduce", *flags, "--jobs", "2", UNDERSTUDY_K="7", UNDERSTUDY_LR="9")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout.splitlines()[-1], r"results\.jsonl, 4 of 4 settings$")
        self.assertIn("4 settings, 5 runs to do, 2 at once", done.stderr)
        self.assertIn("5 of 5 runs", done.stderr)

        lines = self.results()
        self.assertEqual([line["kind"] for line in lines], ["experiment"] + 7 * ["result"])
        self.assertEqual(lines[0]["title"], "A small one")
        self.assertEqual(lines[0]["command"], "reproduce small.toml --jobs 2")
        self.assertRegex(lines[0]["machine"], r", \d+ cores?$")
        self.assertEqual(lines[0]["cut"], [])
        first = lines[1]
        self.assertEqual(first["setting"], "fashion-mnist mlp k=2 r=1 learned mlp mse aligned "
                         "batch-size=300 validation=3000")
        self.assertEqual(first["reduced"], "6000 training images, 2 of 500 epochs")
        self.assertEqual([point["epoch"] for point in first["curve"]], [1, 2])
        self.assertEqual(first["base_model"], "mlp 784-16-10")
        result = json.loads((self.out / CODES[0] / "result.json").read_text())
        for key in ("test_accuracy", "test_recovery_accuracy", "test_overall_accuracy",
                    "test_accuracy_10_percent_unavailable", "no_code_accuracy"):
            self.assertAlmostEqual(first["values"][key], result[key], 5)
        self.assertEqual({(line["code"], line["k"]) for line in lines[3:7]},
                         {("none", 2), ("none", 5), ("replication", 2), ("replication", 5)})
        self.assertEqual(lines[7]["code"], "parity-sum")
        self.assertEqual(lines[7]["reduced"], "6000 training images")
        self.assertNotIn(str(self.folder), (self.out / "results.jsonl").read_text())
        for name in CODES:  # of our environment only where and how to compute reaches the runs
            header = json.loads((self.out / name / "header.json").read_text())
            self.assertEqual((header["settings"]["k"], header["settings"]["lr"]), (2, 0.001))
            self.assertEqual(header["threads"], 1)
            for part in ("--resume", "--quiet", "--workers 0"):
                self.assertIn(part, header["command"])

        # The recorded command gives the same run again.
        program, *words = first["command"].split()
        words[words.index("--base") + 1] = self.out / "base-fashion-mnist-mlp-seed1"
        words[words.index("--out") + 1] = self.folder / "again"
        self.assertEqual(run(program, *words, "--threads", "1").returncode, 0)
        again = json.loads((self.folder / "again" / "result.json").read_text())
        self.assertEqual(again["test_recovery_accuracy"], result["test_recovery_accuracy"])

        # Again: nothing to do, the same file.
        before = (self.out / "results.jsonl").read_bytes()
        done = run("reproduce", *flags, "--jobs", "2")
        self.assertIn("0 runs to do", done.stderr)
        self.assertEqual((self.out / "results.jsonl").read_bytes(), before)
        # Gathered by somebody else, the file says who ran it.
        done = run("reproduce", *flags, "--collect", "--quiet")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual((self.out / "results.jsonl").read_bytes(), before)

    def test_interrupted_it_goes_on_and_ends_the_same(self):
        flags = self.experiment(LONG)
        process = start("reproduce", *flags, "--jobs", "2")
        wait_for(lambda: all((self.out / name / "header.json").exists() for name in LONG_CODES))
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 130, errors)
        self.assertIn("the same command goes on", errors)
        for name in LONG_CODES:
            self.assertTrue((self.out / name / "last.safetensors").exists())
            self.assertFalse((self.out / name / "result.json").exists())
        self.assertEqual(self.values(), {})

        # A second time, killed: its children save and end.
        process = start("reproduce", *flags, "--jobs", "2")
        wait_for(lambda: "resumed" in json.loads(
            (self.out / LONG_CODES[0] / "header.json").read_text()))
        process.kill()
        process.communicate(timeout=PATIENCE)
        done = None

        def free():  # until then the folders are in use
            nonlocal done
            done = run("reproduce", *flags, "--jobs", "1")
            return "at work in it" not in done.stderr
        wait_for(free)
        self.assertEqual(done.returncode, 0, done.stderr)
        parts = self.values()
        self.assertEqual(len(parts), 2)
        self.out = self.folder / "whole"
        done = run("reproduce", flags[0], "--out", self.out)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.values(), parts)

    def test_a_failure_is_named_and_stops_nothing_else(self):
        flags = self.experiment(GRID, COMPARISON)
        broken = self.out / CODES[1]
        broken.mkdir(parents=True)
        (broken / "notes.txt").write_text("somebody's")
        done = run("reproduce", *flags)
        self.assertEqual(done.returncode, 1)
        last = done.stderr.splitlines()[-1]
        self.assertIn("reproduce: 1 of 4 runs failed; " + CODES[1], last)
        self.assertIn("has files but no run in it", last)
        log = (self.out / "logs" / (CODES[1] + ".log")).read_text()
        self.assertIn("has files but no run in it", log)
        self.assertEqual(len(self.values()), 5)
        (broken / "notes.txt").unlink()
        done = run("reproduce", *flags)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("1 runs to do", done.stderr)
        self.assertEqual(len(self.values()), 6)

        # Without the base model nothing that needs it begins.
        self.out = self.folder / "other"
        done = run("reproduce", *self.experiment(GRID.replace("fashion-mnist", "cifar-10")),
                   "--data-dir", self.folder)
        self.assertEqual(done.returncode, 1)
        self.assertIn("1 of 3 runs failed; base-cifar-10-mlp-seed1", done.stderr.splitlines()[-1])
        self.assertIn("needs base-cifar-10-mlp-seed1, which failed", done.stderr)

    def test_a_budget_cuts_and_is_kept(self):
        long = GRID.replace("epochs = 2", "epochs = 400").replace('"mse", "kl"', '"mse"')
        flags = [*self.experiment(long, COMPARISON), "--budget", "8s", "--jobs", "1"]
        plan = run("reproduce", *flags, "--plan")
        self.assertEqual(plan.returncode, 0, plan.stderr)
        self.assertRegex(plan.stdout.splitlines()[-1], r"^\d+ runs to do, 1 at once: ")
        self.assertFalse(self.out.exists())

        done = run("reproduce", *flags)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("cut: ", done.stderr)
        first = self.results()[0]
        self.assertEqual(first["command"], "reproduce small.toml --budget 8s --jobs 1")
        self.assertRegex(first["cut"][0], r"^epochs 400 → \d+$")
        epochs = int(re.search(r"\d+$", first["cut"][0]).group())
        self.assertEqual(self.results()[1]["epochs"], epochs)
        self.assertEqual(self.results()[1]["reduced"],
                         f"6000 training images, {epochs} of 500 epochs")
        again = run("reproduce", *flags)
        self.assertIn("as chosen before", again.stderr)
        self.assertIn(" 0 runs to do", again.stderr)
        little = run("reproduce", *flags[:2], self.folder / "none", "--budget", "0.01s", "--quiet")
        self.assert_error(little, 2, "too little even for the first setting")

    def test_coded_models_from_their_start_to_their_lines(self):
        file = self.folder / "coded.toml"
        file.write_text(MERGE)
        flags = [file, "--out", self.out, "--jobs", "2"]
        plan = run("reproduce", *flags, "--plan")
        self.assertRegex(plan.stdout.splitlines()[-1], r"^7 runs to do, 2 at once: ")
        done = run("reproduce", *flags)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout.splitlines()[-1], r"results\.jsonl, 2 of 2 settings$")
        self.assertIn("fashion-mnist+fashion-mnist-rotated mlp independent distill-epochs=2 coin "
                      "P=50 gaussian own damping=0  (", done.stdout)

        lines = self.results()
        self.assertEqual([line["kind"] for line in lines], ["experiment"] + 10 * ["merge"])
        self.assertEqual(lines[0]["notes"], ["In words."])
        self.assertEqual([(line["method"], line["points"]) for line in lines[1:6]],
                         [("average", None), ("coin", 20), ("distill", 20), ("coin", 50),
                          ("distill", 50)])
        coin, distill = lines[4:6]
        self.assertEqual((coin["fisher"], coin["fisher_data"], coin["damping"]),
                         ("gaussian", "own", 0))
        self.assertEqual((coin["start"], lines[-1]["start"]), ("cifar-10-grey28", ""))
        self.assertEqual(coin["base_model"], "mlp 784-16-10")
        self.assertEqual(coin["reduced"], "6000 training images of fashion-mnist, 6000 training "
                         "images of fashion-mnist-rotated")
        self.assertEqual([point["epoch"] for point in distill["curve"]], [1, 2])
        for line in lines[1:]:
            accuracies = zip(line["decoded_accuracies"], line["base_accuracies"])
            mean = sum(100 * decoded / base for decoded, base in accuracies) / 2
            self.assertAlmostEqual(line["values"]["normalised_decoding_accuracy"], mean, 2)
        command = coin["command"].split()
        models = command[command.index("--models") + 1].split(",")
        self.assertEqual(models, [f"tuned-{task}-mlp-from-cifar-10-grey28-seed1"
                                  for task in ("fashion-mnist", "fashion-mnist-rotated")])
        header = json.loads((self.out / models[0] / "header.json").read_text())
        self.assertEqual(header["settings"]["init"], "start-cifar-10-grey28-mlp-seed1")
        self.assertTrue((self.out / "start-fashion-mnist-rotated-mlp-seed1001").exists())
        page = self.folder / "page.html"
        made = run("report", self.out / "results.jsonl", "--out", page)
        self.assertEqual(made.returncode, 0, made.stderr)
        self.assertIn("In words.", page.read_text())

        before = (self.out / "results.jsonl").read_bytes()
        self.assertIn(" 0 runs to do", run("reproduce", *flags).stderr)
        self.assertEqual((self.out / "results.jsonl").read_bytes(), before)
        file.write_text(MERGE.replace("[20, 50]", "[20]"))
        self.assert_error(run("reproduce", *flags, "--quiet"), 2, "points = [20,50], this one has 20")

    def test_impossible_usage(self):
        flags = self.experiment(GRID)
        for arguments, part in (
                ([], "expected the name of an experiment"),
                (["--out", self.out], "expected the name of an experiment"),
                (["slow", "--out", self.out], "there are: "),
                ([flags[0]], "--out is needed"),
                ([*flags, "--budget", "soon"], "such as 90s, 30m or 2h"),
                ([*flags, "--budgets", "1h"], "did you mean --budget?"),
                ([*flags, "other"], "unexpected argument 'other'"),
                ([*flags, "--jobs", "-1"], "at least 0"),
                ([self.folder / "none.toml", "--out", self.out], "none.toml")):
            with self.subTest(part=part):
                self.assert_error(run("reproduce", *arguments), 2, part)
        self.assertFalse(self.out.exists())
        misspelt = self.experiment(GRID + "epoch = 1\n")
        self.assert_error(run("reproduce", *misspelt), 2, "small.toml:14: grid: unknown key epoch")
        listed = run("reproduce", "--list")
        self.assertEqual((listed.returncode, listed.stderr), (0, ""))
        self.assertRegex(listed.stdout, r"(?m)^learning-a-code .*\(60 settings\)$")

        # Two in one folder, and a folder of another experiment's run.
        process = start("reproduce", *self.experiment(LONG))
        wait_for((self.out / "base-fashion-mnist-mlp-seed1" / "header.json").exists)
        self.assert_error(run("reproduce", *flags, "--quiet"), 2, "another reproduce is at work")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 130)
        done = run("reproduce", *self.experiment(GRID))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.experiment(GRID)
        flags[0].write_text(flags[0].read_text().replace("[16]", "[17]"))
        self.assert_error(run("reproduce", *flags, "--quiet"), 2, "hidden = [16], this one has 17")


if __name__ == "__main__":
    unittest.main()
