#!/usr/bin/env python3
"""What transformers itself saves for the golden models, as small JSON files.

For each family saved/FAMILY.json has the version of transformers, the values
that keys of a config.json have where a file leaves them out, and for each
golden model of the family the config.json that save_pretrained writes and the
names, types and shapes of its tensors. tests/golden/test_saved.c compares what
Weft writes with it, without transformers.

    make_saved.py           write the files
    make_saved.py --check   compare with the stored files, write nothing

Needs torch and transformers; no network.
"""

import json
import os
import struct
import sys
import tempfile

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import transformers
from transformers import AutoModelForCausalLM

HERE = os.path.dirname(os.path.abspath(__file__))
CASES = sorted(
    name
    for name in os.listdir(HERE)
    if os.path.exists(os.path.join(HERE, name, "model.safetensors"))
)


def tensors_of(path):
    """{name: [type, shape]} from the header of a safetensors file."""
    with open(path, "rb") as f:
        (size,) = struct.unpack("<Q", f.read(8))
        header = json.loads(f.read(size))
    header.pop("__metadata__", None)
    return {n: [t["dtype"], t["shape"]] for n, t in sorted(header.items())}


def save(case):
    """The class's defaults, the saved config.json, the saved tensors."""
    model = AutoModelForCausalLM.from_pretrained(
        os.path.join(HERE, case), dtype="float32"
    )
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        with open(os.path.join(folder, "config.json")) as f:
            config = json.load(f)
        tensors = tensors_of(os.path.join(folder, "model.safetensors"))
    del config["transformers_version"]
    defaults = type(model.config)().to_dict()
    defaults = {k: defaults[k] for k in sorted(config) if k in defaults}
    return defaults, {"config": config, "tensors": tensors}


def main():
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    families = {}
    for case in CASES:
        defaults, saved = save(case)
        family = families.setdefault(
            saved["config"]["model_type"],
            {"transformers": transformers.__version__, "defaults": {},
             "cases": {}},
        )
        family["defaults"].update(defaults)
        family["cases"][case] = saved
    wrong = 0
    for name, family in families.items():
        path = os.path.join(HERE, "saved", f"{name}.json")
        text = json.dumps(family, separators=(",", ": ")) + "\n"
        text = text.replace(',"', ',\n"')
        if "--check" in sys.argv:
            with open(path) as f:
                same = f.read() == text
            print(f"{'ok  ' if same else 'DIFF'} {path}")
            wrong += not same
        else:
            with open(path, "w") as f:
                f.write(text)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
