"""Runs the trainers on data of every kind: folders of pictures, augmented sets, batches prepared by
any number of threads.

tools_data.py BIN_DIR DATA_DIR [unittest arguments]; ctest runs each test by itself.
"""
import json
import signal
import struct
import unittest
import zlib

from programs import PATIENCE, InFolder, run, start, wait_for


def png(height, width, value):
    """A grey picture; value(y, x) is below 256."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + bytes(value(y, x) for x in range(width)) for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) +
            chunk(b"IEND", b""))


def put_pictures(folder):
    """Stripes that run down and stripes that run across, of several sizes and shades."""
    for part, count in ("train", 60), ("test", 12):
        for name, down in ("across", False), ("down", True):
            (folder / part / name).mkdir(parents=True)
            for i in range(count):
                (folder / part / name / f"{i}.png").write_bytes(
                    png(20 + i % 5, 24 - i % 3,
                        lambda y, x: 40 + 2 * i + 60 * ((x if down else y) // 4 % 2)))


class Data(InFolder):
    def train(self, *flags, code=0):
        result = run("train_classifier", *flags, "--json", "-")
        self.assertEqual(result.returncode, code, result.stderr)
        return json.loads(result.stdout), result.stderr

    def test_a_folder_of_pictures(self):
        pictures = self.folder / "pictures"
        put_pictures(pictures)
        flags = ["--dataset", "image-folder", "--data", pictures, "--image-size", "16x12",
                 "--image-channels", "1", "--hidden", "32", "--epochs", "8", "--batch-size", "10",
                 "--lr", "0.003"]
        out = self.folder / "run"
        values, said = self.train(*flags, "--out", out)
        self.assertEqual(values["model"], "mlp 192-32-2")
        self.assertEqual(values["test_accuracy"], 1)
        self.assertIn("120 training and 24 test images of 2 classes, across to down", said)
        header = json.loads((out / "header.json").read_text())
        self.assertEqual(header["dataset"]["name"], "image-folder")
        self.assertEqual(header["dataset"]["train"], 120)
        self.assertNotIn("data", header["settings"])  # a folder may move

        # A code over the network, on the same pictures.
        code = run("train_code", "--base", out, *flags[:8], "--epochs", "1", "--validation", "20",
                   "--batch-size", "20", "--json", "-")
        self.assertEqual(code.returncode, 0, code.stderr)

        bad = pictures / "train" / "down" / "7.png"
        bad.write_bytes(bad.read_bytes()[:-20])
        (pictures / "test" / "across" / "notes.txt").write_text("striped")
        result = run("train_classifier", *flags)
        self.assert_error(result, 1, "train/down/7.png", "found the end of the file")
        values, said = self.train(*flags, "--skip-bad-images")
        self.assertIn("119 training and 24 test images", said)
        self.assertIn("left out 2 that cannot be read, the first: ", said)

    def test_flags_that_do_not_go_together(self):
        for flags, part in (
                (["--data", "x"], "--data: goes with --dataset image-folder, not with mnist"),
                (["--image-size", "28"], "--image-size: goes with"),
                (["--image-channels", "1"], "--image-channels: goes with"),
                (["--skip-bad-images"], "--skip-bad-images: goes with"),
                (["--dataset", "image-folder"], "expected --data, the folder with train/ and test/"),
                (["--dataset", "image-folder", "--data", "x", "--image-size", "3x"],
                 "--image-size 3x: expected a number, or height and width"),
                (["--dataset", "image-folder", "--data", "x", "--image-size", "0"],
                 "expected a size from 1x1 to 4096x4096, found 0x0"),
                (["--nesterov", "--optimizer", "sgd"], "--momentum above 0"),
                (["--label-smoothing", "1"], "--label-smoothing 1: must be"),
                (["--workers", "-1"], "--workers -1: must be at least 0"),
                (["--profile", self.folder / "no" / "trace"], "there is no folder"),
                (["--profile", self.folder], "is a folder; name a file")):
            with self.subTest(flags=flags):
                self.assert_error(run("train_classifier", *flags), 2, part)
        result = run("train_classifier", "--dataset", "image-folder", "--data", self.folder)
        self.assert_error(result, 1, str(self.folder), "expected the folders train/ and test/")

    def test_augmented_runs_are_the_same_with_any_workers(self):
        flags = ["--dataset", "cifar-10", "--hidden", "16", "--epochs", "2", "--batch-size", "32",
                 "--optimizer", "sgd", "--momentum", "0.9", "--nesterov", "--lr", "0.02",
                 "--schedule", "one-cycle", "--label-smoothing", "0.1"]
        losses = set()
        for workers in 0, 1, 3:
            values, said = self.train(*flags, "--workers", workers)
            self.assertIn("cropped and flipped", said)
            losses.add(values["test_loss"])
        self.assertEqual(len(losses), 1)
        values, said = self.train(*flags, "--augment", "none")
        self.assertNotIn("cropped and flipped", said)
        self.assertNotIn(values["test_loss"], losses)
        values, said = self.train("--dataset", "cifar-10-grey28", *flags[2:])
        self.assertNotIn("cropped and flipped", said)
        values, said = self.train("--dataset", "cifar-10-grey28", *flags[2:], "--augment", "crop-flip")
        self.assertIn("cropped and flipped", said)

    def test_an_augmented_run_resumes_in_the_middle_of_an_epoch(self):
        flags = ["--dataset", "cifar-10", "--hidden", "16", "--epochs", "2", "--batch-size", "1"]
        whole, parts = self.folder / "whole", self.folder / "parts"
        self.train(*flags, "--out", whole)
        process = start("train_classifier", *flags, "--out", parts)
        wait_for((parts / "header.json").exists)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 130, errors)
        self.train(*flags, "--out", parts, "--resume", "--workers", "2")
        self.assertEqual((whole / "model.safetensors").read_bytes(),
                         (parts / "model.safetensors").read_bytes())


if __name__ == "__main__":
    unittest.main()
