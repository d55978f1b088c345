#!/usr/bin/env python3
"""The set-ups of a comparison as a table of pandas.

    benchmarks/analysis/runs_pandas.py demo.h5

For each model: set-ups by memory of a device, with their speed and what a
person has to decide. benchmarks/RESULTS.md documents the columns.
"""
import sys

import pandas as pd


def read_runs(path):
    try:
        return pd.read_hdf(path, "runs")
    except KeyError:
        sys.exit(
            f"{path}: not a comparison of weft compare, it has no /runs; of a "
            "run file steps_xarray.py shows the steps"
        )
    except (OSError, RuntimeError) as e:  # PyTables has a RuntimeError for it
        reason = str(e).strip().splitlines()[-1]
        sys.exit(f"{path}: cannot be read as HDF5: {reason}")


def main():
    runs = read_runs(sys.argv[1])
    ok = runs[runs.status == "ok"].copy()
    ok["memory_MiB"] = ok.peak_bytes / 2**20
    columns = ["name", "devices", "memory_MiB", "tokens_per_s", "clock"]
    columns += ["decisions"]
    for model, rows in ok.groupby("model", sort=False):
        print(model)
        print(rows.sort_values("memory_MiB")[columns].to_string(index=False))
    for run in runs[runs.status != "ok"].itertuples():
        print(f"{run.model} {run.name}: {run.status}: {run.reasons}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__.strip())
    main()
