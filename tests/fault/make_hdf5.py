#!/usr/bin/env python3
"""Makes tests/fault/hdf5: files that HDF5 reads and Weft does not, because
they lead to other files or need filters that nobody here writes; and one of
h5py that it does read. Needs h5py; run from the top of the repository."""

import h5py
import numpy as np

FOLDER = "tests/fault/hdf5/"


def new(name):
    return h5py.File(FOLDER + name + ".h5", "w", libver=("earliest", "v108"))


with new("external_link") as f:
    f["weights"] = h5py.ExternalLink("/etc/elsewhere.h5", "/weights")
with new("external_data") as f:
    f.create_dataset("a", (4,), "f4", external=[("/etc/passwd", 0, 16)])
with h5py.File(FOLDER + "virtual.h5", "w") as f:
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("/etc/elsewhere.h5", "a", (4,))
    f.create_virtual_dataset("a", layout)
with new("lzf") as f:
    f.create_dataset("a", data=np.zeros(64, "f4"), compression="lzf")
with new("plain") as f:
    f.attrs["name"] = "plain"
    f.create_dataset("a", data=np.arange(64, dtype="f4"), compression="gzip",
                     shuffle=True, fletcher32=True)
    f["b"] = h5py.SoftLink("/a")
    f["text"] = "of variable length"
