#!/usr/bin/env python3
"""Writes corpus/results/: small results.jsonl that reach each branch of the reader. All numbers are
invented.

    python3 tests/fuzz/make_results_corpus.py
"""
import json
import pathlib

HERE = pathlib.Path(__file__).parent / "corpus" / "results"

EXPERIMENT = {"kind": "experiment", "experiment": "e", "title": "t", "source": "s", "machine": "m",
              "command": "c", "settings": 2, "cut": ["x"]}
PUBLISHED = {"kind": "published", "experiment": "e", "dataset": "mnist", "base": "mlp", "k": 2,
             "r": 1, "code": "best learned", "metric": "test_recovery_accuracy", "value": 0.9}
VALUES = {"test_accuracy": 0.98, "test_recovery_accuracy": 0.9, "test_overall_accuracy": 0.89,
          "encode_us": 3.5, "encode_multiply_adds": 100, "base_multiply_adds": 50,
          "calibration": [{"confidence": 0.9, "accuracy": 0.8, "count": 7}],
          "declining": [{"share": 0.1, "accuracy": 0.95}]}
RESULT = {"kind": "result", "experiment": "e", "setting": "s", "dataset": "mnist", "base": "mlp",
          "base_model": "mlp 4-2", "reduced": "", "code": "learned", "encoder": "mlp",
          "loss": "mse", "channels": "aligned", "k": 2, "r": 1, "seed": 1, "epochs": 3,
          "epochs_published": 500, "threads": 1, "seconds": 1.5, "values": VALUES,
          "curve": [{"epoch": 1, "validation_recovery_accuracy": 0.5}]}


def write(name, *lines, end="\n"):
    HERE.mkdir(parents=True, exist_ok=True)
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    (HERE / name).write_text(text + end)


write("learned", EXPERIMENT, PUBLISHED, RESULT, {**RESULT, "seed": 2})
write("compared", EXPERIMENT, {**RESULT, "code": "berrut"}, {**RESULT, "code": "none", "r": 0},
      {**RESULT, "code": "replication", "r": 2}, {**PUBLISHED, "code": "berrut", "k": None})
write("wide", EXPERIMENT, *({**RESULT, "code": "mean", "k": k} for k in range(1, 12)))
write("twice", EXPERIMENT, RESULT, {**RESULT, "values": {"test_accuracy": 0.5}})
write("half", EXPERIMENT, json.dumps(RESULT)[:50], end="")
write("no_experiment", RESULT)
write("unknown_kind", EXPERIMENT, {"kind": "rumour", "experiment": "e"})
write("bad_fraction", EXPERIMENT, {**RESULT, "values": {"test_accuracy": 98}})
write("bad_curve", EXPERIMENT, {**RESULT, "curve": [1]})
write("nested", "[" * 3000)
write("extremes", EXPERIMENT, {**RESULT, "values": {**VALUES, "encode_us": 1e308,
                                                     "base_multiply_adds": 1e-308}})
write("far_epochs", EXPERIMENT, {**RESULT, "curve": [{"epoch": 2**53,
                                                     "validation_recovery_accuracy": 0.5}]})
