#!/usr/bin/env python3
"""The steps of a run, or of one set-up of a comparison, as xarray.

    benchmarks/analysis/steps_xarray.py run.h5
    benchmarks/analysis/steps_xarray.py demo.h5 gpt-neo-mini/streamed

Prints the loss by step, with its unit, and where the time of a step went. A
set-up is its model and its name, as the experiment has them.
"""
import sys

import h5py
import xarray as xr

ACCOUNTS = ["compute", "load", "comm", "bubble", "optimizer", "other"]


def groups_of(path):
    """Groups of a comparison's set-ups by their names; None: no comparison."""
    try:
        with h5py.File(path) as file:
            if "runs" not in file:
                return None
            return {
                f"{row['model'].decode()}/{row['name'].decode()}": row[
                    "group"
                ].decode()
                for row in file["runs"][:]
            }
    except OSError as e:
        sys.exit(f"{path}: cannot be read as HDF5: {e}")


def find_group(path, setup):
    """Where the steps are: names with a space, say, are groups of another."""
    groups = groups_of(path)
    if groups is None:
        if setup is not None:
            sys.exit(f"{path}: is no comparison, leave {setup} out")
        return ""
    ran = {name: group for name, group in groups.items() if group}
    if setup in ran:
        return ran[setup]
    if setup is not None and f"/{setup.strip('/')}" in ran.values():
        return setup
    if setup in groups:
        why = f"{setup} did not run"
    else:
        why = f"no set-up {setup}" if setup else "is a comparison"
    sys.exit(f"{path}: {why}; give one of {', '.join(ran) or 'another file'}")


def open_steps(path, setup):
    group = find_group(path, setup).strip("/")
    try:
        return xr.open_dataset(
            path,
            group=f"{group}/steps",
            engine="h5netcdf",
            phony_dims="sort",
        )
    except OSError as e:
        sys.exit(f"{path}: no /steps to be read, is it Weft's? {e}")


def main():
    steps = open_steps(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None)
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
