"""tools/setup with a pretended apt, and the last line of tools/test.

tools_scripts.py TOOLS_DIR [unittest arguments]. Nothing is installed: dpkg-query, apt-get and sudo are
replaced by scripts that say what they were asked.
"""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

TOOLS = Path()


def is_debian():
    words = Path("/etc/os-release").read_text() if Path("/etc/os-release").exists() else ""
    return "debian" in words and shutil.which("apt-get")


class Scripts(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="understudy-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def pretend(self, name, text):
        path = self.folder / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def run_script(self, *command):
        path = f"{self.folder}:{os.environ['PATH']}"
        return subprocess.run([TOOLS / command[0], *command[1:]], capture_output=True, text=True,
                              env=os.environ | {"PATH": path}, timeout=60)

    @unittest.skipUnless(is_debian(), "needs a Debian or Ubuntu machine")
    def test_setup_installs_what_is_missing(self):
        log = self.folder / "log"
        self.pretend("dpkg-query", 'case "$4$3" in *libfmt-dev*|*doctest-dev*) exit 1;; esac; '
                                   'echo "install ok installed"')
        self.pretend("apt-get", f'echo "$@" >> {log}')
        self.pretend("sudo", 'exec "$@"')
        result = self.run_script("setup")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertRegex(result.stderr, "libfmt-dev +formatted messages")
        self.assertRegex(result.stderr, "doctest-dev +the tests")
        update, install = log.read_text().splitlines()
        self.assertTrue(update.startswith("update"))
        self.assertTrue(install.endswith(" libfmt-dev doctest-dev"), install)
        self.assertEqual(self.run_script("setup", "--list").stdout, "libfmt-dev\ndoctest-dev\n")

        self.pretend("apt-get", 'echo "E: no network" >&2; exit 100')
        result = self.run_script("setup")
        self.assertEqual(result.returncode, 1)
        self.assertIn("apt could not install libfmt-dev doctest-dev", result.stderr)

    @unittest.skipUnless(is_debian(), "needs a Debian or Ubuntu machine")
    def test_setup_does_nothing_when_all_is_there(self):
        self.pretend("dpkg-query", 'echo "install ok installed"')
        self.pretend("apt-get", "exit 1")
        self.pretend("ninja", "exit 1")  # only looked for
        result = self.run_script("setup")
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "", ""))
        self.pretend("cmake", 'echo "cmake version 3.22.1"')
        result = self.run_script("setup")
        self.assertEqual(result.returncode, 1)
        self.assertIn("cmake 3.22.1 is too old, 3.25 or newer is needed", result.stderr)

    def test_gpu_check_says_what_it_could_not_do(self):
        self.pretend("nvidia-smi", "exit 9")  # as without a driver
        out = self.folder / "check"
        result = self.run_script("gpu_check", "--out", out, "parity", "sanitizer", "bench", "compare",
                                 "train", "table")
        self.assertEqual(result.returncode, 0, result.stderr)
        lines = result.stdout.split("\n")
        self.assertEqual(lines[1].split(), ["gpu", "none"])
        self.assertEqual([line.split(None, 1) for line in lines[2:-1]],
                         [[part, "not run: there is no GPU here"]
                          for part in ("parity", "sanitizer", "bench", "compare", "train")])

    def test_gpu_check_fails_when_a_part_finds_something(self):
        self.pretend("nvidia-smi", "echo a pretended GPU")
        out = self.folder / "check"
        for status, words in (("0", "memcheck: 8 files of tests clean, 0 not finished"),
                              ("99", "memcheck: 0 files of tests clean")):
            self.pretend("compute-sanitizer", f'case "$2" in memcheck) exit {status};; esac')
            result = self.run_script("gpu_check", "--out", out, "sanitizer", "table")
            self.assertEqual(result.returncode, int(status != "0"), result.stderr)
            self.assertIn(words, result.stdout)
            self.assertIn("racecheck: 8 files of tests clean", result.stdout)
        self.assertIn(f"{out}/memcheck-gather.log", result.stdout)
        # Tests that found no GPU of use have not passed.
        self.pretend("compute-sanitizer", 'echo "MESSAGE: [skipped] the driver is too old"')
        result = self.run_script("gpu_check", "--out", out, "sanitizer", "table")
        self.assertEqual(result.returncode, 1, result.stderr)
        # A part that ends early does not end the others.
        result = self.run_script("gpu_check", "--out", out, "parity", "train", "table")
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertRegex(result.stdout, "parity +(ended early|failed)")
        self.assertIn("train      failed", result.stdout)
        self.pretend("nvidia-smi", "echo No devices were found; exit 6")
        result = self.run_script("gpu_check", "--out", out, "parity", "table")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("not run: there is no GPU here", result.stdout)

    def count(self, cases, status="0"):
        path = self.folder / "results.xml"
        path.write_text(f"<testsuite>{cases}</testsuite>")
        result = self.run_script("count_results", path, status)
        return result.stdout, result.returncode

    def test_the_last_line_counts_every_outcome(self):
        passed = '<testcase name="a" status="run"/>'
        failed = '<testcase name="b" status="fail"><failure message=""/></testcase>'
        skipped = ('<testcase name="c" status="notrun"><skipped message="SKIP_RETURN_CODE=77"/>'
                   "</testcase>")
        disabled = '<testcase name="d" status="disabled"/>'
        missing = ('<testcase name="e" status="notrun"><skipped message="Unable to find executable"/>'
                   "</testcase>")
        self.assertEqual(self.count(passed * 3 + skipped + disabled),
                         ("3 passed, 0 failed, 2 skipped\n", 0))
        self.assertEqual(self.count(passed + failed), ("1 passed, 1 failed, 0 skipped\n", 1))
        self.assertEqual(self.count(passed + missing), ("1 passed, 1 failed, 0 skipped\n", 1))
        self.assertEqual(self.count(skipped), ("0 passed, 0 failed, 1 skipped\n", 1))
        self.assertEqual(self.count(""), ("0 passed, 0 failed, 0 skipped\n", 1))
        self.assertEqual(self.count(passed, status="8"), ("1 passed, 0 failed, 0 skipped\n", 1))

    def test_wrong_usage(self):
        for command, part in ((["test", "--preset", "turbo"], "unknown preset turbo"),
                              (["setup", "now"], "unknown argument now"),
                              (["gpu_check", "quickly"], "unknown argument quickly"),
                              (["gpu_check", "--python"], "--python needs a value"),
                              (["lint", "--hard"], "unknown flag --hard")):
            result = self.run_script(*command)
            self.assertEqual(result.returncode, 2)
            self.assertEqual(len(result.stderr.splitlines()), 1)
            self.assertIn(part, result.stderr)


if __name__ == "__main__":
    TOOLS = Path(sys.argv.pop(1))
    unittest.main()
