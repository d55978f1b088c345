#!/usr/bin/env python3
"""Check that transformers loads what `weft convert --to hf` writes.

For a small model of each family: weft trains it for a few steps and saves it,
converts the checkpoint to a folder (in one file, and in shards), transformers
loads that folder, and the mean loss over a batch must be the one that weft
states for the first step of a run that starts from the same checkpoint.

    check_transformers.py [--weft ./weft] [--most 1e-6]

Run from the top of the repository. Needs torch, transformers, h5py, numpy;
no network. A part of `make test-long` where they are there (PYTHON names the
interpreter); `make check` compares the written files with those that
transformers saves instead, see make_saved.py.
"""

import argparse
import os
import subprocess
import sys
import tempfile

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import h5py
import numpy as np
import torch
import transformers
from transformers import AutoModelForCausalLM

HERE = os.path.dirname(os.path.abspath(__file__))
CASES = sorted(
    name
    for name in os.listdir(HERE)
    if os.path.exists(os.path.join(HERE, name, "model.safetensors"))
)
BATCH, SEQ = 3, 8


def run(*command):
    """Run a command; its output only where it fails."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}:\n{done.stdout}{done.stderr}")


def loss_in_transformers(folder, ids):
    """Mean cross entropy of a folder's model over windows of SEQ + 1 ids."""
    model, info = AutoModelForCausalLM.from_pretrained(
        folder, attn_implementation="eager", output_loading_info=True
    )
    wrong = {key: info[key] for key in info if info[key]}
    if wrong:
        sys.exit(f"{folder}: loading reports {wrong}")
    model = model.eval()
    if next(model.parameters()).dtype != torch.float32:
        sys.exit(f"{folder}: loaded as {next(model.parameters()).dtype}")
    windows = torch.from_numpy(ids.astype(np.int64))
    with torch.no_grad():
        logits = model(input_ids=windows[:, :-1]).logits.double()
    return torch.nn.functional.cross_entropy(
        logits.reshape(-1, logits.shape[-1]), windows[:, 1:].reshape(-1)
    ).item()


def check(weft, case, scratch, most):
    """True if the losses of one model agree."""
    model = os.path.join(HERE, case)
    path = lambda name: os.path.join(scratch, name)
    with h5py.File(os.path.join(model, "golden.h5")) as golden:
        vocab = int(golden["input_ids"][:].max()) + 1
    # One batch is all windows there are, so their order does not matter.
    ids = np.random.default_rng(7).integers(0, vocab, BATCH * SEQ + 1)
    ids.astype(np.uint16).tofile(path("data.bin"))
    common = ["train", model, "--data", path("data.bin"), "--batch",
              str(BATCH), "--seq", str(SEQ), "--val-fraction", "0", "-q"]
    run(weft, *common, "--steps", "6", "--save", path("a.h5"))
    run(weft, *common, "--steps", "1", "--init", path("a.h5"), "--out",
        path("run.h5"))
    with h5py.File(path("run.h5")) as out:
        stated = float(out["steps/loss"][0])
    windows = np.stack([ids[i * SEQ : i * SEQ + SEQ + 1] for i in range(BATCH)])
    worst = 0.0
    for name, size in (("whole", "5GB"), ("shards", "20kB")):
        run(weft, "convert", path("a.h5"), "--to", "hf", "-o", path(name),
            "--shard-size", size)
        loss = loss_in_transformers(path(name), windows)
        worst = max(worst, abs(loss - stated) / stated)
    ok = worst <= most
    print(f"{'ok  ' if ok else 'FAIL'} {case:26} weft {stated:.9f}, "
          f"transformers {loss:.9f}, relative difference {worst:.1e}")
    return ok


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--weft", default="./weft")
    parser.add_argument("--most", type=float, default=1e-6)
    args = parser.parse_args()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    print(f"transformers {transformers.__version__}")
    failed = 0
    for case in CASES:
        with tempfile.TemporaryDirectory() as scratch:
            failed += not check(args.weft, case, scratch, args.most)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
