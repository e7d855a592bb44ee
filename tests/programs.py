"""What the scripts that run the real programs share. Their command line begins BIN_DIR DATA_DIR; the
data are the bundled samples, so that nothing depends on what a machine has elsewhere.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

BIN, DATA = Path(sys.argv.pop(1)), Path(sys.argv.pop(1))
PATIENCE = 300  # seconds; only a hang takes so long, also under a sanitizer


def environment(**extra):
    clean = {k: v for k, v in os.environ.items()
             if not k.startswith("UNDERSTUDY_") or k == "UNDERSTUDY_ISA"}
    return clean | {"UNDERSTUDY_DATA_DIR": str(DATA)} | extra


def run(program, *flags, **extra):
    return subprocess.run([BIN / program, *map(str, flags)], capture_output=True, text=True,
                          timeout=PATIENCE, env=environment(**extra))


def start(program, *flags):
    return subprocess.Popen([BIN / program, *map(str, flags)], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, env=environment())


def wait_for(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def without_times(value):
    """The same without what is measured, and differs from run to run."""
    if isinstance(value, dict):
        return {k: without_times(v) for k, v in value.items()
                if "seconds" not in k and "_us" not in k and k != "peak_bytes"}
    return [without_times(v) for v in value] if isinstance(value, list) else value


def lines_of(out):
    return [without_times(json.loads(line))
            for line in (out / "metrics.jsonl").read_text().splitlines()]


def shapes(path):
    data = path.read_bytes()
    header = json.loads(data[8:8 + int.from_bytes(data[:8], "little")])
    return {name: (entry["dtype"], entry["shape"]) for name, entry in header.items()
            if name != "__metadata__"}, header.get("__metadata__", {})


class InFolder(unittest.TestCase):
    """A test with a folder of its own."""

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="understudy-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def assert_error(self, result, code, *parts):
        self.assertEqual(result.returncode, code, result.stderr)
        self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)
        for part in parts:
            self.assertIn(part, result.stderr)
        self.assertEqual(result.stdout, "")
