#!/usr/bin/env python3
"""The same training step in PyTorch (CPU, eager, fp32) and in Weft, in turns.

    python3 benchmarks/peers/pytorch_step.py [--model gpt-neo-125m] [--seq 1024]
        [--batch 1] [--rounds 5] [--weft ./weft]

Needs torch, transformers, numpy and h5py. Both start from one checkpoint, which
`weft convert --to hf` writes for transformers, and train on one batch of random
tokens, from one file, with AdamW (no decay of vectors), a constant rate and
clipping by the global norm, on all cores. Weft has no dropout, so it is off.

Before anything is timed both make three steps: loss and gradient norm of each
must agree, the later ones only do if the updates are the same. Where they
differ by more than --loss or --norm, relative, it prints INVALID and ends with
exit code 1. (For these steps PyTorch's norm is summed in double precision, as
Weft's is: clip_grad_norm_, which is timed, sums 39 million squares of the
embedding in single precision and is off by 0.2 %.)

In each round PyTorch makes two steps and `weft train --plan dp1` three, of
which the first is dropped; the ratio of a round is PyTorch's best step over
Weft's best. Prints every round, the median and the range; INVALID, and exit
code 1, where rounds differ so much that the machine must have done other things.
The checkpoint is read each time: TMPDIR=/dev/shm saves time on a slow disk.
"""
import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import h5py
import numpy as np
import torch
import transformers

LR, BETAS, EPS, DECAY, CLIP = 1e-4, (0.9, 0.95), 1e-8, 0.1, 1.0
CHECKED = 3


def make_model(folder):
    config = transformers.AutoConfig.from_pretrained(folder)
    for key, value in config.to_dict().items():
        if ("drop" in key) and isinstance(value, float):
            setattr(config, key, 0.0)
    config.use_cache = False
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, config=config, attn_implementation="eager",
        dtype=torch.float32)
    model.train()
    return model


def make_optimizer(model):
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    vectors = [p for p in model.parameters() if p.dim() < 2]
    return torch.optim.AdamW(
        [{"params": matrices, "weight_decay": DECAY},
         {"params": vectors, "weight_decay": 0.0}],
        lr=LR, betas=BETAS, eps=EPS)


def clip_in_double(parameters):
    """clip_grad_norm_ with a norm summed in double precision."""
    squares = sum(p.grad.double().square().sum() for p in parameters)
    norm = squares.sqrt().item()
    for p in parameters:
        p.grad.mul_(min(1.0, CLIP / (norm + 1e-6)))
    return norm


def clip(parameters):
    return torch.nn.utils.clip_grad_norm_(parameters, CLIP).item()


def torch_steps(model, optimizer, windows, n, clip=clip):
    """Loss, gradient norm and seconds of each of n steps."""
    parameters = list(model.parameters())
    rows = []
    for _ in range(n):
        begin = time.perf_counter()
        logits = model(windows[:, :-1]).logits
        loss = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), windows[:, 1:].flatten())
        loss.backward()
        norm = clip(parameters)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        rows.append((loss.item(), norm, time.perf_counter() - begin))
    return rows


def weft(args, *words):
    done = subprocess.run([args.weft, *words], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"weft {' '.join(words)}:\n{done.stdout}{done.stderr}")


def weft_steps(args, scratch, n):
    """The same of Weft."""
    out = os.path.join(scratch, "run.h5")
    weft(args, "train", args.model, "--plan", "dp1",
         "--init", os.path.join(scratch, "init.h5"),
         "--data", os.path.join(scratch, "batch.bin"), "--val-fraction", "0",
         "--seq", str(args.seq), "--batch", str(args.batch),
         "--steps", str(n), "--warmup", "0", "--lr", str(LR),
         "--min-lr", str(LR), "--beta1", str(BETAS[0]), "--beta2",
         str(BETAS[1]), "--eps", str(EPS), "--weight-decay", str(DECAY),
         "--grad-clip", str(CLIP), "--recompute", "none", "-q", "--out", out)
    with h5py.File(out) as f:
        return list(zip(f["steps/loss"][:], f["steps/grad_norm"][:],
                        f["steps/wall_s"][:]))


def prepare(args, scratch):
    """One checkpoint in both formats and one batch: what PyTorch trains."""
    path = lambda name: os.path.join(scratch, name)
    rng = np.random.default_rng(1)
    rng.integers(0, 256, 4096).astype("<u2").tofile(path("first.bin"))
    # Weights as Weft starts them, and a step so that no vector is zero.
    weft(args, "train", args.model, "--data", path("first.bin"), "--steps",
         "1", "--batch", "1", "--seq", "16", "--warmup", "0", "--save",
         path("init.h5"), "-q")
    weft(args, "convert", path("init.h5"), "--to", "hf", "-o", path("hf"))
    model = make_model(path("hf"))
    n, t = args.batch, args.seq
    ids = rng.integers(0, min(model.config.vocab_size, 65536), n * t + 1)
    # All windows that there are make the batch, so every step has the same.
    ids.astype("<u2").tofile(path("batch.bin"))
    windows = np.stack([ids[i * t:i * t + t + 1] for i in range(n)])
    return model, torch.from_numpy(windows)


def check(theirs, ours, args):
    """True if both did the same steps."""
    same = True
    for i, (a, b) in enumerate(zip(theirs, ours)):
        for what, x, y, most in (("loss", a[0], b[0], args.loss),
                                 ("gradient norm", a[1], b[1], args.norm)):
            by = abs(x - y) / abs(x)
            ok = by <= most  # not for NaN
            same = same and ok
            print(f"step {i + 1}: {what}: PyTorch {x:.8g}, Weft {y:.8g}, "
                  f"relative difference {by:.1e}"
                  f"{'' if ok else f', more than {most:g}'}", flush=True)
    return same and len(theirs) == len(ours) == CHECKED


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--model", default="gpt-neo-125m")
    p.add_argument("--seq", type=int, default=1024)
    p.add_argument("--batch", type=int, default=1)
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--weft", default="./weft")
    p.add_argument("--loss", type=float, default=1e-5,
                   help="largest relative difference of a loss")
    p.add_argument("--norm", type=float, default=1e-4,
                   help="largest relative difference of a gradient norm")
    p.add_argument("--spread", type=float, default=1.5,
                   help="largest ratio of a round over the smallest")
    args = p.parse_args()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    ratios = []
    with tempfile.TemporaryDirectory() as scratch:
        model, windows = prepare(args, scratch)
        optimizer = make_optimizer(model)
        theirs = torch_steps(model, optimizer, windows, CHECKED,
                             clip_in_double)
        if not check(theirs, weft_steps(args, scratch, CHECKED), args):
            print("INVALID: the two do not make the same step; nothing was "
                  "timed")
            return 1
        for i in range(args.rounds):
            theirs = min(r[2] for r in
                         torch_steps(model, optimizer, windows, 2))
            ours = min(r[2] for r in weft_steps(args, scratch, 3)[1:])
            ratios.append(theirs / ours)
            print(f"round {i + 1}: PyTorch {theirs:.3f} s, Weft {ours:.3f} s,"
                  f" ratio {ratios[-1]:.3f}", flush=True)
    if not ratios:
        return 0
    noisy = max(ratios) > args.spread * min(ratios)
    print(f"{'INVALID, too noisy: ' if noisy else ''}PyTorch "
          f"{torch.__version__} over Weft: median "
          f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to "
          f"{max(ratios):.3f})")
    return 1 if noisy else 0


if __name__ == "__main__":
    sys.exit(main())
