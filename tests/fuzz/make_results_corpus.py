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
CURVE = [{"epoch": 1, "seconds": 0.5, "train_loss": 2.0,
          "train_normalised_decoding_accuracy": 90.0, "normalised_decoding_accuracy": 70.0}]
MERGE = {"kind": "merge", "experiment": "e", "setting": "s", "tasks": ["mnist", "fashion-mnist"],
         "base": "mlp", "base_model": "mlp 4-2", "initialisation": "pretrained",
         "start": "cifar-10", "models": 2, "seed": 1, "reduced": "", "threads": 1, "command": "c",
         "method": "coin", "points": 100, "fisher": "gaussian", "fisher_data": "own", "damping": 0,
         "weights": [0.5, 0.5], "base_accuracies": [0.98, 0.9], "decoded_accuracies": [0.8, 0.7],
         "values": {"normalised_decoding_accuracy": 85.5, "seconds": 1.5, "peak_bytes": 1e6,
                    "recovery_accuracy": 0.8, "relative_output_error": 0.3}}
DISTILL = {**MERGE, "method": "distill", "fisher": None, "fisher_data": None, "damping": None,
           "curve": CURVE}


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
write("merges", {**EXPERIMENT, "notes": ["n"]}, MERGE, {**MERGE, "seed": 2}, {**MERGE, "points": 1000},
      {**MERGE, "fisher": "empirical", "fisher_data": "union", "damping": 0.01},
      {**MERGE, "method": "average", "points": None, "fisher": None}, DISTILL,
      {**DISTILL, "points": 1000, "values": {**MERGE["values"],
                                             "normalised_decoding_accuracy": 92}})
write("merges_of_three", EXPERIMENT, {**MERGE, "tasks": ["a", "b", "c"], "models": 3,
                                      "weights": [[0.1, 0.2, 0.7], [0.5, 0.25, 0.25]],
                                      "base_accuracies": None, "decoded_accuracies": None},
      {**MERGE, "initialisation": "same", "start": None, "method": "rebasin+coin",
       "searched": {"tries": 3}})
write("merge_twice", EXPERIMENT, MERGE, {**MERGE, "command": "d"})
write("merge_without_score", EXPERIMENT, {**MERGE, "values": {"seconds": 1}})
write("merge_bad_weights", EXPERIMENT, {**MERGE, "weights": [[0.5, 0.5], 3]})
write("merge_bad_curve", EXPERIMENT, {**DISTILL, "curve": [{"epoch": -1}]})
write("merge_extremes", EXPERIMENT, {**DISTILL, "values": {"normalised_decoding_accuracy": 1e6,
                                                          "seconds": 1e-300}},
      {**MERGE, "values": {"normalised_decoding_accuracy": 0, "seconds": 1e10}})
