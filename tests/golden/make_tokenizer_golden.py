#!/usr/bin/env python3
"""Make the golden files of tokenizers: what Hugging Face's tokenizers gives.

tokenizer/text.txt is the text: some of Genesis and Proverbs (King James Version), then
lines that try the split: contractions, digits, spaces, newlines, scripts,
marks, emoji, added tokens. Written here for each style:

    STYLE.json   a tokenizer.json that tokenizers trained on the text
    STYLE.bin    the ids that it gives for the text, uint16, no header

    gpt2   no normalizer; <|endoftext|>; merges as pairs
    neox   NFC, runs of spaces as added tokens with ids behind the others, as
           the tokenizer of GPT-NeoX has them; merges as strings

    make_tokenizer_golden.py            write what is not there yet
    make_tokenizer_golden.py --check    compare with the stored files
    make_tokenizer_golden.py --bless    rewrite all

Needs tokenizers and numpy; no network.
"""

import json
import os
import sys

import numpy as np
from tokenizers import (AddedToken, Tokenizer, decoders, models, normalizers,
                        pre_tokenizers, trainers)

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tokenizer")
VOCAB = {"gpt2": 900, "neox": 600}


def read_text():
    with open(os.path.join(HERE, "text.txt"), encoding="utf-8",
              newline="") as f:
        return f.read()


def train(style, text):
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>"]
    if style == "neox":
        t.normalizer = normalizers.NFC()
        special.append("<|padding|>")
    t.train_from_iterator([text], trainers.BpeTrainer(
        vocab_size=VOCAB[style], special_tokens=special, min_frequency=2,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False))
    if style == "neox":
        t.add_tokens([AddedToken(" " * n, normalized=True, special=False)
                      for n in range(24, 1, -1)])
    data = json.loads(t.to_str())
    merges = data["model"]["merges"]
    pairs = [m if isinstance(m, list) else m.split(" ") for m in merges]
    data["model"]["merges"] = (pairs if style == "gpt2"
                               else [" ".join(m) for m in pairs])
    return json.dumps(data, ensure_ascii=style == "neox", indent=1) + "\n"


def main():
    mode = sys.argv[1] if len(sys.argv) > 1 else ""
    text = read_text()
    wrong = 0
    for style in VOCAB:
        spec = train(style, text).encode()
        t = Tokenizer.from_str(spec.decode())
        ids = np.array(t.encode(text).ids, dtype="<u2").tobytes()
        for end, data in (".json", spec), (".bin", ids):
            path = os.path.join(HERE, style + end)
            there = None
            if os.path.exists(path):
                with open(path, "rb") as f:
                    there = f.read()
            same = there == data
            print(f"{style + end}: {len(data)} bytes,",
                  "as stored" if same else "missing" if there is None
                  else "differs")
            wrong += mode == "--check" and not same
            if not same and (there is None or mode == "--bless") \
                    and mode != "--check":
                with open(path, "wb") as f:
                    f.write(data)
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
