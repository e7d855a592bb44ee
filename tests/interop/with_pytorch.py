"""Imported first by the scripts that compare with PyTorch: goes on in the Python that the environment
variable UNDERSTUDY_PYTHON names, else in this one, and exits 77 (skipped) with the reason where that
has no torch or no safetensors.
"""
import os
import sys

SKIPPED = 77

chosen = os.environ.get("UNDERSTUDY_PYTHON")
if chosen and os.environ.get("UNDERSTUDY_PYTHON_RUNS") != "1":
    os.environ["UNDERSTUDY_PYTHON_RUNS"] = "1"
    try:
        os.execv(chosen, [chosen, *sys.argv])
    except OSError as error:
        sys.exit(f"UNDERSTUDY_PYTHON={chosen}: {error}")
try:
    import safetensors.torch  # noqa: F401
    import torch  # noqa: F401
except ImportError as error:
    print(f"skipped: {error} in {sys.executable}; set UNDERSTUDY_PYTHON to a Python with torch and "
          "safetensors")
    sys.exit(SKIPPED)
