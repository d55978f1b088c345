#!/usr/bin/env python3
"""Reads a comparison that `weft compare` wrote, with h5py alone.

    benchmarks/analysis/read_comparison.py demo.h5

Prints, for each model, its set-ups: the memory of a device, tokens per second,
and how far the loss curve is from that of the first set-up that ran. An example
to start from; benchmarks/RESULTS.md documents the layout.
"""
import math
import sys

try:
    import h5py
except ModuleNotFoundError:
    sys.exit(
        f"h5py is missing for {sys.executable}; Debian's package python3-h5py "
        "has it for /usr/bin/python3"
    )


def text(value):
    """Text is stored with fixed length; h5py hands it over as bytes."""
    return value.decode() if isinstance(value, bytes) else str(value)


def loss_curve(file, run):
    """Losses of a row of /runs, or None where nothing ran."""
    group = text(run["group"])
    return file[group]["steps/loss"][:] if group else None


def largest_difference(curve, other):
    """Of two curves, at any step. NaN if their lengths differ, and where only
    one of them has a number; max() alone would pass over a NaN."""
    if len(curve) != len(other):
        return math.nan
    differences = [
        0.0 if a == b or (math.isnan(a) and math.isnan(b)) else abs(a - b)
        for a, b in zip(curve, other)
    ]
    if any(math.isnan(d) for d in differences):
        return math.nan
    return max(differences, default=0.0)


def print_run(run, curve, first):
    """One line; the first curve is what the others are compared with."""
    name, status = text(run["name"]), text(run["status"])
    if status != "ok":
        print(f"  {name:18} {status}: {text(run['reasons'])}")
        return
    print(
        f"  {name:18} {run['devices']:2} x {run['peak_bytes'] / 2**20:8.2f} MiB"
        f"  {run['tokens_per_s']:10.1f} tokens/s ({text(run['clock'])} time)"
        f"  loss {curve[0]:.4f} to {curve[-1]:.4f}"
        f"  largest difference {largest_difference(curve, first):g}"
    )


def print_model(file, model, runs):
    print(model)
    curves = [loss_curve(file, run) for run in runs]
    first = next((c for c in curves if c is not None), None)
    for run, curve in zip(runs, curves):
        print_run(run, curve, first)


def open_file(path):
    try:
        return h5py.File(path, "r")
    except OSError as e:
        sys.exit(f"{path}: cannot be read as HDF5: {e}")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__.strip())
    with open_file(sys.argv[1]) as file:
        if text(file.attrs.get("format", b"")) != "weft-comparison":
            sys.exit(f"{sys.argv[1]}: not a comparison of weft compare")
        if text(file.attrs["format_version"]).split(".")[0] != "1":
            sys.exit(f"{sys.argv[1]}: a later format than this script knows")
        runs = file["runs"][:]
        for model in dict.fromkeys(text(run["model"]) for run in runs):
            print_model(
                file, model, [r for r in runs if text(r["model"]) == model]
            )


if __name__ == "__main__":
    main()
