"""Runs compare_codes as a user would: the table, result.json, what is refused and what is left out.

tools_compare.py BIN_DIR DATA_DIR [unittest arguments]; ctest runs each test by itself. The data are
the bundled samples.
"""
import json
import unittest

from programs import InFolder, run

DATA = ["--dataset", "fashion-mnist"]


class Compare(InFolder):
    def setUp(self):
        super().setUp()
        self.base = self.folder / "base"
        done = run("train_classifier", *DATA, "--epochs", 1, "--hidden", 16, "--batch-size", 100,
                   "--out", self.base)
        self.assertEqual(done.returncode, 0, done.stderr)

    def compare(self, *flags):
        return run("compare_codes", *DATA, "--base", self.base, *flags)

    def test_every_code_gets_a_row(self):
        out = self.folder / "all"
        done = self.compare("--k", "2,3", "--r", "1,2", "--codes", "all", "--out", out)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout.splitlines()[-1],
                         r"^best at 100\.0 % extra machines, one missing: .*: \d+\.\d\d %$")
        result = json.loads((out / "result.json").read_text())
        rows = {(row["code"], row["k"], row["r"]): row for row in result["rows"]}
        self.assertEqual(len(rows), len(result["rows"]))
        # The model's own accuracy where nothing is lost, the guess where everything is.
        for k in (2, 3):
            self.assertEqual(rows["replication", k, k]["test_overall_accuracy"],
                             rows["replication", k, k]["model_accuracy"])
            self.assertEqual(rows["replication", k, k]["extra_machines_percent"], 100)
            self.assertAlmostEqual(rows["none", k, 0]["test_overall_accuracy"],
                                   rows["none", k, 0]["no_code_accuracy"], delta=0.01)
        for (code, k, r), row in rows.items():
            late = 0.9 * row["test_accuracy"] + 0.1 * row["test_overall_accuracy"]
            self.assertAlmostEqual(row["test_accuracy_10_percent_unavailable"], late)
            self.assertEqual(sum(each["count"] for each in row["calibration"]) > 0, True, code)
            if code == "mean":
                # Every pattern of up to r missing answers that loses data.
                self.assertEqual(row["patterns"], {(2, 1): 2, (2, 2): 2 + 5,
                                                   (3, 1): 3, (3, 2): 3 + 9}[k, r])
                self.assertEqual(row["unrecovered"], 0)

    def test_what_a_code_cannot_be_is_left_out(self):
        done = self.compare("--k", "2,32", "--r", "8", "--codes", "mean", "--validation", 100)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("mean is left out for k = 32, r = 8: k = 32 and r = 8 have", done.stderr)
        self.assertEqual(done.stdout.count("\nmean "), 1)
        done = self.compare("--k", "32", "--r", "8", "--codes", "mean")
        self.assertEqual(done.returncode, 2)
        self.assertIn("no code is left", done.stderr)

    def test_trained_codes_stand_beside_the_others(self):
        code = self.folder / "code"
        done = run("train_code", *DATA, "--base", self.base, "--encoder", "mean", "--epochs", 2,
                   "--validation", 600, "--out", code)
        self.assertEqual(done.returncode, 0, done.stderr)
        trained = json.loads((code / "result.json").read_text())
        out = self.folder / "out"
        done = self.compare("--codes", "nothing", "--trained", f"{code}/", "--out", out)
        self.assertEqual(done.returncode, 0, done.stderr)
        row = json.loads((out / "result.json").read_text())["rows"][0]
        self.assertEqual((row["code"], row["trained"]), ("learned (mean)", "code"))
        if trained["test_epoch"] == trained["best_epoch"]:  # the file is the best epoch's
            self.assertAlmostEqual(row["test_recovery_accuracy"],
                                   trained["test_recovery_accuracy"])
        self.assertIn("learned (mean) [code]", done.stdout)
        self.assertGreater(sum(each["count"] for each in trained["calibration"]), 0)

        for flags, parts in ((["--k", "3"], ("made for k = 2, here k = 3",)),
                             (["--r", "2"], ("made for r = 1, here r = 2",))):
            done = self.compare("--codes", "nothing", "--trained", code, *flags)
            self.assert_error(done, 2, *parts)
        other = self.folder / "other"
        run("train_classifier", *DATA, "--epochs", 1, "--hidden", 16, "--seed", 7, "--out", other)
        done = run("compare_codes", *DATA, "--base", other, "--codes", "nothing", "--trained", code)
        self.assert_error(done, 2, "made for", "here")

    def test_wrong_answers_and_explanations(self):
        out = self.folder / "out"
        done = self.compare("--codes", "berrut", "--wrong", 1, "--wrong-size", 10, "--explain",
                            "--out", out)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("not looked for", done.stdout)
        self.assertIn("condition", done.stdout)
        row = json.loads((out / "result.json").read_text())["wrong_answers"][0]
        self.assertEqual((row["k"], row["r"], row["wrong"]), (2, 3, 1))
        self.assertGreater(row["found"], 0.5)
        self.assertGreater(row["accuracy_located"], row["accuracy_not_located"])
        self.assert_error(self.compare("--k", "32", "--wrong", 1), 2, "k = 32")

    def test_what_is_unknown_is_refused(self):
        done = self.compare("--codes", "none,telepathy")
        self.assert_error(done, 2, "telepathy", "replication")
        done = self.compare("--codes", "none,,replication")
        self.assert_error(done, 2, "--codes", "empty")
        done = self.compare("--k", "0")
        self.assert_error(done, 2, "--k")
        self.assert_error(run("compare_codes", *DATA), 2, "--base")
        self.assert_error(run("compare_codes", "--dataset", "cifar-10", "--base", self.base), 2,
                          "--base", "cifar-10")

    def test_a_finished_comparison_is_not_done_again(self):
        out = self.folder / "out"
        first = self.compare("--codes", "none,replication", "--out", out)
        again = self.compare("--codes", "none,replication", "--out", out)
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertIn("nothing to do", again.stderr)
        self.assertEqual(again.stdout, first.stdout)


if __name__ == "__main__":
    unittest.main()
