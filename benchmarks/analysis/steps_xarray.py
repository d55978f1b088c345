#!/usr/bin/env python3
"""The steps of a run, or of one set-up of a comparison, as xarray.

    benchmarks/analysis/steps_xarray.py run.h5
    benchmarks/analysis/steps_xarray.py demo.h5 gpt-neo-mini/streamed

Prints the loss by step, with its unit, and where the time of a step went.
"""
import sys

import xarray as xr

ACCOUNTS = ["compute", "load", "comm", "bubble", "optimizer", "other"]


def open_steps(path, group):
    try:
        return xr.open_dataset(
            path, group=group, engine="h5netcdf", phony_dims="sort"
        )
    except OSError as e:
        if "group not found" not in str(e):
            sys.exit(f"{path}: cannot be read as HDF5: {e}")
        sys.exit(
            f"{path}: no /{group}; give a run file, or a comparison and one of "
            "its set-ups, such as gpt-neo-mini/streamed"
        )


def main():
    steps = open_steps(sys.argv[1], "/".join(sys.argv[2:3] + ["steps"]))
    unit = steps.loss.attrs["units"]
    for step in steps.step.values[:: max(1, len(steps.step) // 5)]:
        loss = steps.loss.sel(step=step).item()
        print(f"step {step}: loss {loss:.6f} {unit}")
    for name in ACCOUNTS:
        # A step that was not measured is not one to pass over.
        of_step = steps[f"{name}_s"].mean(skipna=False)
        share = of_step / steps.wall_s.mean(skipna=False)
        print(f"{name:10} {100 * share.item():5.1f} % of a step")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__.strip())
    main()
