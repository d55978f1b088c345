#!/usr/bin/env python3
"""The steps of a run, or of one set-up of a comparison, as xarray.

    benchmarks/analysis/steps_xarray.py run.h5
    benchmarks/analysis/steps_xarray.py demo.h5 gpt-neo-mini/streamed

Prints the loss by step, with its unit, and where the time of a step went.
"""
import sys

import xarray as xr

ACCOUNTS = ["compute", "load", "comm", "bubble", "optimizer", "other"]


def main():
    group = "/".join(sys.argv[2:3] + ["steps"])
    steps = xr.open_dataset(
        sys.argv[1], group=group, engine="h5netcdf", phony_dims="sort"
    )
    unit = steps.loss.attrs["units"]
    for step in steps.step.values[:: max(1, len(steps.step) // 5)]:
        loss = steps.loss.sel(step=step).item()
        print(f"step {step}: loss {loss:.6f} {unit}")
    for name in ACCOUNTS:
        share = steps[f"{name}_s"].mean() / steps.wall_s.mean()
        print(f"{name:10} {100 * share.item():5.1f} % of a step")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__.strip())
    main()
