#!/usr/bin/env python3
"""tools/fetch_datasets with folders and with a web server on this machine.

The bundled MNIST is the published set, so it goes the whole way. CIFAR-10 is not here in full; its
steps run on small batches, with the sizes and checksums of the script replaced by theirs.
"""
import functools
import gzip
import hashlib
import http.server
import importlib.machinery
import importlib.util
import io
import pathlib
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import unittest

PROJECT = pathlib.Path(__file__).resolve().parent.parent
SCRIPT = PROJECT / "tools" / "fetch_datasets"
BUNDLED = PROJECT / "datasets" / "data"
MNIST = ["t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz", "train-images-idx3-ubyte.gz",
         "train-labels-idx1-ubyte.gz"]


def names(folder):
    """The files below `folder`, and the empty folders with a slash behind them."""
    return sorted(str(p.relative_to(folder)) + ("/" if p.is_dir() else "")
                  for p in folder.rglob("*") if p.is_file() or not any(p.iterdir()))


class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class StallingHandler(Handler):
    """Promises much, sends a little, and waits."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "10000000")
        self.end_headers()
        self.wfile.write(bytes(1000))
        self.wfile.flush()
        self.server.stop.wait(60)


class Fetch(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="understudy-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.to = self.folder / "to"

    def run_script(self, *arguments):
        done = subprocess.run([sys.executable, SCRIPT, *map(str, arguments), "--to", str(self.to)],
                              capture_output=True, text=True, timeout=120)
        self.assertEqual(done.stdout, "")
        return done.returncode, done.stderr.splitlines()

    def assert_failed(self, result, *parts):
        """One line at the end that has all `parts`; nothing left behind."""
        code, lines = result
        self.assertEqual(code, 1, lines)
        self.assertTrue(lines[-1].startswith("fetch_datasets: "), lines)
        self.assertFalse([line for line in lines if "Traceback" in line], lines)
        for part in parts:
            self.assertIn(part, lines[-1])
        left = [name for name in names(self.to) if name != "cifar-10/"] if self.to.exists() else []
        self.assertEqual(left, [])

    def serve(self, folder, handler=Handler):
        server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), functools.partial(handler, directory=str(folder)))
        server.stop = threading.Event()
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()

        def stop():
            server.stop.set()
            server.shutdown()
            server.server_close()

        self.addCleanup(stop)
        return f"http://127.0.0.1:{server.server_address[1]}"

    # ---- from a folder ---------------------------------------------------------------------------

    def test_from_our_layout(self):
        code, lines = self.run_script("mnist", "--from", BUNDLED)
        self.assertEqual(code, 0, lines)
        self.assertEqual(names(self.to / "mnist"), MNIST)
        self.assertIn("contents checked", lines[-1])
        # Again: nothing to do. With a file gone: only that one comes back.
        code, lines = self.run_script("mnist", "--from", self.folder)
        self.assertEqual((code, len(lines)), (0, 1))
        self.assertIn("already in", lines[0])
        (self.to / "mnist" / MNIST[1]).unlink()
        code, lines = self.run_script("mnist", "--from", BUNDLED)
        self.assertEqual([line for line in lines if line.startswith("taking")],
                         [f"taking {BUNDLED / 'mnist' / MNIST[1]}"])
        self.assertEqual(names(self.to / "mnist"), MNIST)

    def test_from_torchvision_layout(self):
        raw = self.folder / "from" / "MNIST" / "raw"
        raw.mkdir(parents=True)
        for name in MNIST:
            contents = gzip.decompress((BUNDLED / "mnist" / name).read_bytes())
            (raw / name.removesuffix(".gz")).write_bytes(contents)
        code, lines = self.run_script("mnist", "--from", self.folder / "from")
        self.assertEqual(code, 0, lines)
        self.assertEqual(names(self.to / "mnist"), [name.removesuffix(".gz") for name in MNIST])

    def test_from_refuses_other_contents(self):
        self.assert_failed(
            self.run_script("fashion-mnist", "--from", BUNDLED),
            "fashion-mnist/train-images-idx3-ubyte.gz: expected contents with SHA-256")

    def test_from_refuses_damage(self):
        shutil.copytree(BUNDLED / "mnist", self.folder / "from" / "mnist")
        path = self.folder / "from" / "mnist" / "train-images-idx3-ubyte.gz"
        path.write_bytes(path.read_bytes()[:-100])
        self.assert_failed(self.run_script("mnist", "--from", self.folder / "from"),
                           f"{path}: expected the published contents, found a damaged file")

    def test_from_nothing(self):
        for name, source, text in (
                ("mnist", self.folder, "expected train-images-idx3-ubyte.gz"),
                ("cifar-10", self.folder, "expected cifar-10-batches-bin"),
                ("mnist", self.folder / "absent", "expected a folder, found none")):
            self.assert_failed(self.run_script(name, "--from", source), text)

    def test_what_is_there_is_not_overwritten(self):
        mine = self.to / "mnist" / MNIST[0]
        mine.parent.mkdir(parents=True)
        mine.write_bytes(gzip.compress(b"mine"))
        code, lines = self.run_script("mnist", "--from", BUNDLED)
        self.assertEqual(code, 1)
        self.assertIn("move it elsewhere first", lines[-1])
        self.assertEqual(names(self.to), [f"mnist/{MNIST[0]}"])
        self.assertEqual(gzip.decompress(mine.read_bytes()), b"mine")

    # ---- from a web server -----------------------------------------------------------------------

    def test_download(self):
        code, lines = self.run_script("mnist", "--mirror", self.serve(BUNDLED))
        self.assertEqual(code, 0, lines)
        self.assertEqual(names(self.to / "mnist"), MNIST)

    def test_download_refuses_other_contents(self):
        url = self.serve(BUNDLED)
        self.assert_failed(self.run_script("fashion-mnist", "--mirror", url),
                           f"{url}/fashion-mnist/train-images", "expected contents with SHA-256",
                           "--from DIR")

    def test_download_of_what_is_not_there(self):
        url = self.serve(self.folder)
        for name in ("mnist", "cifar-10"):
            self.assert_failed(self.run_script(name, "--mirror", url), f"{url}/{name}/",
                               "HTTP 404", "--from DIR")

    def test_no_server(self):
        self.assert_failed(self.run_script("mnist", "--mirror", "http://127.0.0.1:9"), "refused",
                           "--from DIR")

    def test_interrupted(self):
        # A test that runs in the background may have been told to ignore SIGINT, and a child inherits
        # that, but not a handler.
        old = signal.signal(signal.SIGINT, signal.default_int_handler)
        self.addCleanup(signal.signal, signal.SIGINT, old)
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            url = self.serve(self.folder, StallingHandler)
            process = subprocess.Popen(
                [sys.executable, SCRIPT, "mnist", "--mirror", url, "--to", str(self.to)],
                stderr=subprocess.DEVNULL)
            deadline = time.monotonic() + 60
            while not list(self.to.rglob("*.gz.part")) and time.monotonic() < deadline:
                time.sleep(0.02)
            self.assertTrue(list(self.to.rglob("*.gz.part")))
            process.send_signal(number)
            self.assertEqual(process.wait(60), code)
            self.assertEqual(names(self.to), [])

    def test_usage(self):
        for arguments in ([], ["imagenet"], ["mnist", "--from", "a", "--mirror", "b"]):
            self.assertEqual(self.run_script(*arguments)[0], 2)


class Cifar(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="understudy-"))
        self.addCleanup(shutil.rmtree, self.folder)
        loader = importlib.machinery.SourceFileLoader("fetch_datasets", str(SCRIPT))
        sys.dont_write_bytecode = True
        spec = importlib.util.spec_from_loader("fetch_datasets", loader)
        self.script = importlib.util.module_from_spec(spec)
        loader.exec_module(self.script)
        self.said = []
        self.script.say = self.said.append
        self.records = [bytes([i % 10]) + bytes([i]) * 3072 for i in range(12)]
        self.script.CIFAR_BATCH_SIZE = 2 * 3073
        self.script.CIFAR_TRAIN, self.script.CIFAR_TEST = self.sums(self.records[:10],
                                                                    self.records[10:])

    @staticmethod
    def sums(*parts):
        digests = [sorted(hashlib.sha256(record).digest() for record in part) for part in parts]
        return [hashlib.sha256(b"".join(part)).hexdigest() for part in digests]

    def archive(self, records, name="cifar-10-binary.tar.xz", leave_out=()):
        source = self.folder / "from" / "cifar-10"
        source.mkdir(parents=True, exist_ok=True)
        batches = [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"]
        with tarfile.open(source / name, f"w:{name[-2:]}") as tar:
            for i, batch in enumerate(batches):
                if batch in leave_out:
                    continue
                contents = b"".join(records[2 * i:2 * i + 2])
                info = tarfile.TarInfo(f"cifar-10-batches-bin/{batch}")
                info.size = len(contents)
                tar.addfile(info, io.BytesIO(contents))
        return source / name

    def fetch(self):
        self.script.fetch_cifar(self.folder / "to", self.folder / "from", None)

    def assert_refused(self, text):
        with self.assertRaisesRegex(self.script.Failed, text):
            self.fetch()
        self.assertEqual(names(self.folder / "to"), ["cifar-10/"])

    def test_any_order(self):
        for records in (self.records, self.records[9::-1] + self.records[:9:-1]):
            self.archive(records)
            self.fetch()
            batches = self.folder / "to" / "cifar-10" / "cifar-10-batches-bin"
            self.assertEqual((batches / "data_batch_2.bin").read_bytes(), b"".join(records[2:4]))
            self.assertEqual(len(names(self.folder / "to")), 6)
            self.assertIn("not the publisher's archive", self.said[-1])
            self.fetch()
            self.assertIn("already in", self.said[-1])
            shutil.rmtree(batches)

    def test_publishers_archive(self):
        path = self.archive(self.records, "cifar-10-binary.tar.gz")
        self.script.CIFAR_MD5 = hashlib.md5(path.read_bytes()).hexdigest()
        self.fetch()
        self.assertTrue(self.said[-1].endswith("contents checked: the publisher's archive (MD5)"))

    def test_unpacked_folder(self):
        path = self.archive(self.records)
        with tarfile.open(path) as tar:
            tar.extractall(path.parent)
        path.unlink()
        self.fetch()
        self.assertEqual(len(names(self.folder / "to")), 6)

    def test_refusals(self):
        other = list(self.records)
        other[3] = other[3][:-1] + b"\xff"
        self.archive(other)
        self.assert_refused("SHA-256 over the sorted records differs")
        swapped = self.records[2:] + self.records[:2]  # a training batch as the test batch
        self.archive(swapped)
        self.assert_refused("SHA-256 over the sorted records differs")
        self.archive(self.records, leave_out=["data_batch_4.bin"])
        self.assert_refused("expected data_batch_4.bin, found no such file")
        self.archive(self.records[:-1])
        self.assert_refused("expected 6146 bytes in test_batch.bin, found 3073")
        path = self.archive(self.records)
        contents = path.read_bytes()
        path.write_bytes(contents[:len(contents) // 2])
        self.assert_refused("expected a whole tar archive, found a damaged one")
        path.write_bytes(contents[:200] + bytes(20) + contents[220:])
        self.assert_refused("expected a whole tar archive, found a damaged one")
        path.write_bytes(b"not an archive")
        self.assert_refused("expected a whole tar archive, found a damaged one")


if __name__ == "__main__":
    unittest.main()
