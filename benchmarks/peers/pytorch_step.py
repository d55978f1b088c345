#!/usr/bin/env python3
"""The same training step in PyTorch (CPU, eager, fp32) and in Weft, in turns.

    python3 benchmarks/peers/pytorch_step.py [--model gpt-neo-125m] [--seq 1024]
        [--batch 1] [--rounds 5] [--weft ./weft]

Needs torch and transformers. Both train the model of configs/models on one
batch of random tokens with AdamW and clipping by the global norm, all cores.
In each round PyTorch makes two steps and `weft train --plan dp1` three, of
which the first is dropped; the ratio of a round is PyTorch's best step over
Weft's best. Prints every round, the median and the range.
"""
import argparse
import os
import statistics
import subprocess
import tempfile
import time

import h5py
import torch
import transformers


def make_model(path):
    config = transformers.AutoConfig.from_pretrained(path)
    config._attn_implementation = "eager"
    config.use_cache = False
    model = transformers.AutoModelForCausalLM.from_config(config)
    model.train()
    return model


def torch_steps(model, optimizer, batch, seq, n):
    """Seconds of each of n steps."""
    seconds = []
    for _ in range(n):
        ids = torch.randint(model.config.vocab_size, (batch, seq + 1))
        begin = time.perf_counter()
        logits = model(ids[:, :-1]).logits
        loss = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), ids[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        seconds.append(time.perf_counter() - begin)
    return seconds


def weft_steps(args, data, out, n):
    subprocess.run(
        [args.weft, "train", args.model, "--plan", "dp1", "--data", data,
         "--seq", str(args.seq), "--batch", str(args.batch), "--steps",
         str(n), "--recompute", "none", "--out", out],
        check=True, stdout=subprocess.DEVNULL)
    with h5py.File(out) as f:
        return list(f["steps/wall_s"][1:])


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--model", default="gpt-neo-125m")
    p.add_argument("--seq", type=int, default=1024)
    p.add_argument("--batch", type=int, default=1)
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--weft", default="./weft")
    args = p.parse_args()
    torch.manual_seed(1)
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    model = make_model(f"configs/models/{args.model}.json")
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4,
                                  betas=(0.9, 0.95), weight_decay=0.1)
    torch_steps(model, optimizer, args.batch, args.seq, 1)
    ratios = []
    with tempfile.TemporaryDirectory() as d:
        data = os.path.join(d, "tokens.bin")
        ids = torch.randint(model.config.vocab_size, (200000,))
        ids.numpy().astype("<u2").tofile(data)
        for i in range(args.rounds):
            theirs = min(torch_steps(model, optimizer, args.batch,
                                     args.seq, 2))
            ours = min(weft_steps(args, data, os.path.join(d, "run.h5"), 3))
            ratios.append(theirs / ours)
            print(f"round {i + 1}: PyTorch {theirs:.3f} s, Weft {ours:.3f} s,"
                  f" ratio {ratios[-1]:.3f}", flush=True)
    print(f"PyTorch {torch.__version__} over Weft: median "
          f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to "
          f"{max(ratios):.3f})")


if __name__ == "__main__":
    main()
