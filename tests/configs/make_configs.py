#!/usr/bin/env python3
"""Write a config.json of each family as an installed transformers saves it.

    make_configs.py TAG    writes FAMILY_TAG.json beside this script

With --full every key is written, not only those that differ from defaults.
The files of the tags v4 (4.57.1, --full), v5 (5.23.0) and v5_full (5.23.0,
--full) are kept: they spell rotary positions and types differently, and
tests/unit/test_models.c reads them all.
"""

import os
import sys

os.environ.setdefault("HF_HUB_OFFLINE", "1")

from transformers import GPT2Config, GPTJConfig, GPTNeoConfig, GPTNeoXConfig

CONFIGS = {
    "gpt2": GPT2Config(
        n_layer=2, n_embd=24, n_head=3, vocab_size=51, n_positions=18
    ),
    "gpt_neo": GPTNeoConfig(
        num_layers=2, hidden_size=24, num_heads=2, vocab_size=50,
        attention_types=[[["global", "local"], 1]], window_size=5,
        max_position_embeddings=24,
    ),
    "gptj": GPTJConfig(
        n_layer=2, n_embd=24, n_head=2, vocab_size=48, rotary_dim=6,
        n_positions=20,
    ),
    "gpt_neox": GPTNeoXConfig(
        num_hidden_layers=2, hidden_size=24, num_attention_heads=3,
        intermediate_size=96, vocab_size=45, max_position_embeddings=20,
        rotary_pct=0.5, rotary_emb_base=500,
    ),
}


def main():
    words = [word for word in sys.argv[1:] if word != "--full"]
    if len(words) != 1:
        sys.exit(__doc__)
    folder = os.path.dirname(os.path.abspath(__file__))
    for family, config in CONFIGS.items():
        path = os.path.join(folder, f"{family}_{words[0]}.json")
        config.to_json_file(path, use_diff="--full" not in sys.argv)


if __name__ == "__main__":
    main()
