#!/usr/bin/env python3
"""Make the golden files: what Hugging Face transformers computes in float64.

Every case is a folder with a model (config.json, model.safetensors) and
golden.h5: the loss and all gradients of one batch, and the losses and
gradient norms of 20 steps of AdamW; and logits.h5: a greedy continuation of a
short prompt with its logits. README.md beside this file says how each
array is defined. The weights stored are float32; every computation starts
from exactly those values, widened to float64.

    make_golden.py                 write the cases (or logits.h5 of cases)
                                   that do not exist yet
    make_golden.py --check         compare with the stored files, write nothing
    make_golden.py --bless CASE    rewrite a case after showing the difference

Needs torch, transformers, safetensors, h5py and numpy; no network.
"""

import argparse
import json
import math
import os
import shutil
import sys
import tempfile

# No lookup may leave the machine: every model is built from a local folder.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import h5py
import numpy as np
import torch
import transformers
from safetensors.torch import load_file, save_file
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.models.gpt_neo import modeling_gpt_neo
from transformers.models.gpt_neox import modeling_gpt_neox
from transformers.models.gptj import modeling_gptj

STEPS = 20
TRAIN = {
    "lr": 2e-2,
    "min_lr": 2e-3,
    "warmup_steps": 5,
    "total_steps": STEPS,
    "beta1": 0.9,
    "beta2": 0.95,
    "eps": 1e-8,
    "weight_decay": 0.1,
    "grad_clip": 1.0,
}
# Ids on the cycle that the random tokens fall into, and the share of tokens
# that follow the rule in even steps; see make_tokens.
ACTIVE = 4
FOLLOW = 0.85
# The greedy continuation: tokens of the prompt and tokens that follow. The
# largest logit must lead by so much of the largest magnitude that rounding in
# float32 cannot change the choice.
PROMPT = 3
FOLLOWING = 8
LEAD = 1e-4
# --check fails above this. Float64 sums in another order differ by about
# 1e-15, 20 steps amplify that; a change of the mathematics is far larger.
# Gradients are stored as float32 and may move by one rounding (6e-8).
TOLERANCE = 1e-6

# ---------------------------------------------------------------------------
# The cases
# ---------------------------------------------------------------------------


def gpt_neo(**keys):
    """Shape keys of a GPT-Neo config, over the fixed ones."""
    return {
        "model_type": "gpt_neo",
        "architectures": ["GPTNeoForCausalLM"],
        "activation_function": "gelu_new",
        "intermediate_size": None,
        "resid_dropout": 0.0,
        "embed_dropout": 0.0,
        "attention_dropout": 0.0,
        "layer_norm_epsilon": 1e-5,
        "initializer_range": 0.02,
        "bos_token_id": None,
        "eos_token_id": None,
        "tie_word_embeddings": True,
        **keys,
    }


def gptj(**keys):
    """Shape keys of a GPT-J config, over the fixed ones."""
    return {
        "model_type": "gptj",
        "architectures": ["GPTJForCausalLM"],
        "activation_function": "gelu_new",
        "n_inner": None,
        "resid_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "attn_pdrop": 0.0,
        "layer_norm_epsilon": 1e-5,
        "initializer_range": 0.02,
        "bos_token_id": None,
        "eos_token_id": None,
        "tie_word_embeddings": False,
        **keys,
    }


def gpt2(**keys):
    """Shape keys of a GPT-2 config, over the fixed ones."""
    return {
        "model_type": "gpt2",
        "architectures": ["GPT2LMHeadModel"],
        "activation_function": "gelu_new",
        "n_inner": None,
        "resid_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "attn_pdrop": 0.0,
        "layer_norm_epsilon": 1e-5,
        "initializer_range": 0.02,
        "bos_token_id": None,
        "eos_token_id": None,
        "tie_word_embeddings": True,
        **keys,
    }


def gpt_neox(**keys):
    """Shape keys of a GPT-NeoX config, over the fixed ones."""
    return {
        "model_type": "gpt_neox",
        "architectures": ["GPTNeoXForCausalLM"],
        "hidden_act": "gelu",
        "attention_dropout": 0.0,
        "hidden_dropout": 0.0,
        "layer_norm_eps": 1e-5,
        "initializer_range": 0.02,
        "rotary_emb_base": 10000,
        "bos_token_id": None,
        "eos_token_id": None,
        "tie_word_embeddings": False,
        **keys,
    }


# Name -> batch B, positions T, seed, standard deviation of the matrices, and
# the config. The shapes are small and awkward on purpose: odd heads, odd
# vocabularies, odd inner widths, T below the context length. A rotary width
# of 2 is avoided, since both pairings of dimensions agree there. The
# deviations are chosen so that clipping acts on some steps and not on others.
CASES = {
    "gpt_neo_local": dict(
        B=2, T=19, seed=101, std=0.08,
        config=gpt_neo(
            vocab_size=50, hidden_size=24, num_layers=2, num_heads=2,
            attention_types=[[["global", "local"], 1]], window_size=5,
            max_position_embeddings=24,
        ),
    ),
    "gpt_neo_odd_heads_untied": dict(
        B=3, T=13, seed=102, std=0.08,
        config=gpt_neo(
            vocab_size=47, hidden_size=24, num_layers=2, num_heads=3,
            attention_types=[[["global", "local"], 1]], window_size=16,
            max_position_embeddings=16, tie_word_embeddings=False,
            activation_function="gelu",
        ),
    ),
    "gpt_neo_odd_inner": dict(
        B=2, T=11, seed=103, std=0.10,
        config=gpt_neo(
            vocab_size=53, hidden_size=20, num_layers=3, num_heads=5,
            attention_types=[[["global"], 1], [["local"], 2]], window_size=2,
            max_position_embeddings=11, intermediate_size=37,
        ),
    ),
    "gptj_partial_rotary": dict(
        B=2, T=16, seed=104, std=0.08,
        config=gptj(
            vocab_size=48, n_embd=24, n_layer=2, n_head=2, rotary_dim=6,
            n_positions=20,
        ),
    ),
    "gptj_full_rotary": dict(
        B=2, T=17, seed=105, std=0.08,
        config=gptj(
            vocab_size=61, n_embd=24, n_layer=2, n_head=3, rotary_dim=8,
            n_positions=17, activation_function="gelu",
        ),
    ),
    "gptj_one_head_tied": dict(
        B=3, T=10, seed=106, std=0.10,
        config=gptj(
            vocab_size=41, n_embd=16, n_layer=3, n_head=1, rotary_dim=4,
            n_positions=12, n_inner=27, tie_word_embeddings=True,
        ),
    ),
    "gpt2_three_heads": dict(
        B=2, T=15, seed=107, std=0.08,
        config=gpt2(
            vocab_size=51, n_embd=24, n_layer=2, n_head=3, n_positions=18,
        ),
    ),
    "gpt_neox_partial_rotary": dict(
        B=2, T=14, seed=108, std=0.08,
        config=gpt_neox(
            vocab_size=45, hidden_size=24, num_hidden_layers=2,
            num_attention_heads=3, intermediate_size=96, rotary_pct=0.5,
            max_position_embeddings=20, use_parallel_residual=True,
        ),
    ),
    "gpt2_exact_untied": dict(
        B=2, T=12, seed=109, std=0.10,
        config=gpt2(
            vocab_size=49, n_embd=20, n_layer=2, n_head=5, n_positions=13,
            n_inner=37, activation_function="gelu", tie_word_embeddings=False,
            scale_attn_weights=False,
        ),
    ),
    "gpt_neox_sequential_tied": dict(
        B=3, T=11, seed=110, std=0.10,
        config=gpt_neox(
            vocab_size=43, hidden_size=40, num_hidden_layers=2,
            num_attention_heads=5, intermediate_size=51, rotary_pct=0.75,
            rotary_emb_base=500, max_position_embeddings=12,
            use_parallel_residual=False, hidden_act="gelu_new",
            tie_word_embeddings=True, attention_bias=False,
        ),
    ),
}

# ---------------------------------------------------------------------------
# Float64 throughout
# ---------------------------------------------------------------------------
#
# transformers lowers some parts to float32 whatever the model's type is:
# GPT-Neo and GPT-J cast queries and keys before the product, GPT-J and
# GPT-NeoX build the rotary angles in float32, GPT-NeoX takes the softmax in
# float32. The functions below do the same mathematics without the casts.
# NoFloat32 proves that none was missed.


def softmax_of_scores(scores, value, mask):
    """Masked softmax of the scores, then the weighted sum of the values."""
    if mask is not None:
        scores = scores + mask
    weights = torch.nn.functional.softmax(scores, dim=-1)
    return torch.matmul(weights, value), weights


def gpt_neo_attn(self, query, key, value, attention_mask=None):
    """GPTNeoSelfAttention._attn without the casts to float32.

    GPT-Neo does not scale the scores. `bias` is the layer's boolean mask, of
    the window in local layers.
    """
    scores = torch.matmul(query, key.transpose(-1, -2))
    n_query, n_key = query.size(-2), key.size(-2)
    allowed = self.bias[:, :, n_key - n_query : n_key, :n_key]
    lowest = torch.finfo(scores.dtype).min
    scores = scores.masked_fill(~allowed, lowest)
    return softmax_of_scores(scores, value, attention_mask)


def gptj_attn(self, query, key, value, attention_mask=None):
    """GPTJAttention._attn without the casts to float32."""
    scores = torch.matmul(query, key.transpose(-1, -2)) / self.scale_attn
    return softmax_of_scores(scores, value, attention_mask)


def gptj_embed_positions(self, position_ids):
    """GPTJAttention._get_embed_positions with a float64 table."""
    positions = torch.arange(self.max_positions, dtype=torch.float64)
    pairs = torch.arange(0, self.pos_embd_dim, 2, dtype=torch.float64)
    inv_freq = 10000.0 ** (-pairs / self.pos_embd_dim)
    angles = positions[:, None] * inv_freq
    table = torch.cat((torch.sin(angles), torch.cos(angles)), dim=1)
    return table.repeat(position_ids.shape[0], 1, 1)


def gpt_neox_rotary_forward(self, x, position_ids):
    """GPTNeoXRotaryEmbedding.forward with float64 angles."""
    rope = self.config.rope_parameters
    head_dim = self.config.hidden_size // self.config.num_attention_heads
    dim = int(head_dim * rope["partial_rotary_factor"])
    pairs = torch.arange(0, dim, 2, dtype=torch.float64)
    inv_freq = float(rope["rope_theta"]) ** (-pairs / dim)
    angles = position_ids[..., None].to(torch.float64) * inv_freq
    angles = torch.cat((angles, angles), dim=-1)
    return angles.cos(), angles.sin()


def gpt_neox_eager(module, query, key, value, attention_mask, scaling, **_):
    """The eager attention of GPT-NeoX without the float32 softmax."""
    scores = torch.matmul(query, key.transpose(2, 3)) * scaling
    out, weights = softmax_of_scores(scores, value, attention_mask)
    return out.transpose(1, 2).contiguous(), weights


def patch_transformers():
    """Put the float64 functions in place. Call once, before building."""
    modeling_gpt_neo.GPTNeoSelfAttention._attn = gpt_neo_attn
    modeling_gptj.GPTJAttention._attn = gptj_attn
    modeling_gptj.GPTJAttention._get_embed_positions = gptj_embed_positions
    modeling_gpt_neox.GPTNeoXRotaryEmbedding.forward = gpt_neox_rotary_forward
    modeling_gpt_neox.eager_attention_forward = gpt_neox_eager


class NoFloat32(TorchDispatchMode):
    """Fails on any operation whose result has a narrower float type."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, torch.Tensor) and leaf.is_floating_point():
                if leaf.dtype != torch.float64:
                    raise TypeError(f"{func} returned {leaf.dtype}")
        return out


# ---------------------------------------------------------------------------
# Inputs: tokens and weights
# ---------------------------------------------------------------------------


def make_tokens(case):
    """Random ids [STEPS, B, T+1], int32, that 20 steps can learn.

    Each id is drawn uniformly or, more often, follows from the one before by
    a fixed random rule that leads into a cycle of ACTIVE ids. Odd steps follow
    the rule throughout, so late odd steps have small gradients and are not
    clipped while even ones are. Most rows of a vocabulary are rarely seen,
    some never: their gradients must be zero. The last id is forced to appear
    as an input and as a target of step 0: it lies at the edge of any split of
    the vocabulary.
    """
    rng = np.random.default_rng([case["seed"], 1])
    vocab = case["config"]["vocab_size"]
    active = rng.permutation(vocab)[:ACTIVE]
    successor = active[rng.integers(0, ACTIVE, size=vocab)]
    successor[active] = np.roll(active, 1)
    shape = (STEPS, case["B"], case["T"] + 1)
    ids = rng.integers(0, vocab, size=shape)
    follow = rng.random(shape) < FOLLOW
    follow[1::2] = True
    ids[0, 0, 0] = vocab - 1
    for t in range(1, shape[-1]):
        ids[:, :, t] = np.where(
            follow[:, :, t], successor[ids[:, :, t - 1]], ids[:, :, t]
        )
    ids[0, 0, -1] = vocab - 1
    return ids.astype(np.int32)


def make_weight(rng, name, shape, std):
    """One float32 tensor. Norm weights lie around 1; no bias is zero."""
    noise = rng.standard_normal(shape)
    if len(shape) >= 2:
        return (std * noise).astype(np.float32)
    if name.endswith("bias"):
        return (0.05 * noise).astype(np.float32)
    return (1.0 + 0.1 * noise).astype(np.float32)


def write_model(folder, case):
    """Write config.json and model.safetensors of a case.

    The names are those save_pretrained writes: parameters() lists a tied head
    once, under the name of the embedding.
    """
    with open(os.path.join(folder, "config.json"), "w") as out:
        json.dump(case["config"], out, indent=2, sort_keys=True)
        out.write("\n")
    config = AutoConfig.from_pretrained(folder)
    model = AutoModelForCausalLM.from_config(
        config, attn_implementation="eager"
    )
    model.tie_weights()
    rng = np.random.default_rng([case["seed"], 2])
    tensors = {
        name: torch.from_numpy(
            make_weight(rng, name, tuple(param.shape), case["std"])
        )
        for name, param in model.named_parameters()
    }
    path = os.path.join(folder, "model.safetensors")
    save_file(tensors, path, metadata={"format": "pt"})


def read_model(folder):
    """The model of a folder in float64, as a user would load it.

    Loading through from_pretrained proves that the names are Hugging Face's.
    """
    model, info = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=torch.float64,
        attn_implementation="eager",
        output_loading_info=True,
    )
    wrong = [key for key in info if info[key]]
    if wrong:
        raise ValueError(f"{folder}: loading reports {info}")
    stored = load_file(os.path.join(folder, "model.safetensors"))
    params = dict(model.named_parameters())
    if set(stored) != set(params):
        raise ValueError(f"{folder}: {set(stored) ^ set(params)}")
    for name, tensor in stored.items():
        if not torch.equal(tensor.double(), params[name].detach()):
            raise ValueError(f"{folder}: {name} changed on loading")
    return model


# ---------------------------------------------------------------------------
# Training
# ---------------------------------------------------------------------------


def learning_rate(step):
    """Rate of a 0-based step: linear warm-up, then cosine to min_lr."""
    lr, low = TRAIN["lr"], TRAIN["min_lr"]
    warmup, total = TRAIN["warmup_steps"], TRAIN["total_steps"]
    if step < warmup:
        return lr * (step + 1) / warmup
    turn = math.pi * (step - warmup) / (total - warmup)
    return low + 0.5 * (lr - low) * (1.0 + math.cos(turn))


def make_optimizer(model):
    """AdamW; matrices (embeddings too) decay, vectors do not."""
    params = list(model.parameters())
    groups = [
        {
            "params": [p for p in params if p.ndim >= 2],
            "weight_decay": TRAIN["weight_decay"],
        },
        {"params": [p for p in params if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        groups,
        lr=TRAIN["lr"],
        betas=(TRAIN["beta1"], TRAIN["beta2"]),
        eps=TRAIN["eps"],
        foreach=False,
    )


def loss_of(model, ids):
    """Mean cross entropy over B*T tokens; ids is [B, T+1].

    transformers' own loss converts the logits to float32, so it is not used.
    """
    logits = model(input_ids=ids[:, :-1], use_cache=False).logits
    return torch.nn.functional.cross_entropy(
        logits.reshape(-1, logits.shape[-1]), ids[:, 1:].reshape(-1)
    )


def run(model, tokens):
    """Train STEPS steps; return the arrays of golden.h5 by path."""
    ids = torch.from_numpy(tokens.astype(np.int64))
    optimizer = make_optimizer(model)
    losses, norms, grads = [], [], {}
    for step in range(STEPS):
        optimizer.zero_grad(set_to_none=True)
        with NoFloat32():
            loss = loss_of(model, ids[step])
            loss.backward()
        if step == 0:
            grads = {
                "grads/" + name: param.grad.numpy().astype(np.float32)
                for name, param in model.named_parameters()
            }
        norm = torch.nn.utils.clip_grad_norm_(
            model.parameters(), TRAIN["grad_clip"], foreach=False
        )
        losses.append(loss.item())
        norms.append(norm.item())
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step)
        optimizer.step()
    return {
        "input_ids": tokens,
        "loss": np.float64(losses[0]),
        "grad_norm": np.float64(norms[0]),
        "train/losses": np.array(losses),
        "train/grad_norms": np.array(norms),
        **grads,
    }


def follow(model, tokens):
    """Continue the first tokens greedily; return the arrays of logits.h5."""
    ids = [int(i) for i in tokens[0, 0, :PROMPT]]
    rows = []
    for _ in range(FOLLOWING):
        with NoFloat32(), torch.no_grad():
            out = model(input_ids=torch.tensor([ids]), use_cache=False)
        row = out.logits[0, -1]
        first, second = torch.topk(row, 2).values.tolist()
        if first - second < LEAD * row.abs().max().item():
            raise ValueError("two tokens are too close; take another seed")
        rows.append(row.numpy())
        ids.append(int(row.argmax()))
    return {"tokens": np.array(ids, dtype=np.int32), "logits": np.array(rows)}


# ---------------------------------------------------------------------------
# Files
# ---------------------------------------------------------------------------


def write_logits(folder, model, name):
    """Write logits.h5 of a case whose model is as stored."""
    path = os.path.join(folder, "logits.h5")
    with h5py.File(path, "w", libver=("earliest", "v108")) as out:
        out.attrs["case"] = name
        out.attrs["transformers"] = transformers.__version__
        out.attrs["torch"] = str(torch.__version__)
        for key, array in follow(model, make_tokens(CASES[name])).items():
            out.create_dataset(key, data=array)


def write_golden(path, name, arrays):
    """Write golden.h5 in a format HDF5 1.8 and later read."""
    with h5py.File(path, "w", libver=("earliest", "v108")) as out:
        out.attrs["case"] = name
        out.attrs["transformers"] = transformers.__version__
        out.attrs["torch"] = str(torch.__version__)
        for key, array in arrays.items():
            out.create_dataset(key, data=array)
        for key, value in TRAIN.items():
            out["train"].attrs[key] = value


def make_case(parent, name):
    """Make one case in parent/name, which must not exist; return its arrays."""
    case = CASES[name]
    folder = os.path.join(parent, name)
    os.makedirs(folder)
    write_model(folder, case)
    model = read_model(folder)
    model.eval()
    write_logits(folder, model, name)
    arrays = run(model, make_tokens(case))
    write_golden(os.path.join(folder, "golden.h5"), name, arrays)
    return arrays


def read_arrays(folder):
    """Every array of a case by name, weights included."""
    arrays = {}
    with h5py.File(os.path.join(folder, "golden.h5"), "r") as src:
        def keep(key, item):
            if isinstance(item, h5py.Dataset):
                arrays[key] = item[()]
            for attr, value in item.attrs.items():
                arrays[f"{key}@{attr}"] = np.asarray(value)

        src.visititems(keep)
    path = os.path.join(folder, "logits.h5")
    if os.path.exists(path):
        with h5py.File(path, "r") as src:
            for key in src:
                arrays["follow/" + key] = src[key][()]
    weights = load_file(os.path.join(folder, "model.safetensors"))
    for key, tensor in weights.items():
        arrays["weights/" + key] = tensor.numpy()
    return arrays


def difference(old, new):
    """Largest difference of two arrays over the largest old magnitude.

    Infinite where shapes or types differ or a value is not finite.
    """
    if not (np.isfinite(old).all() and np.isfinite(new).all()):
        return math.inf
    if old.shape != new.shape or old.dtype != new.dtype:
        return math.inf
    gap = np.max(np.abs(old.astype(np.float64) - new), initial=0.0)
    size = np.max(np.abs(old.astype(np.float64)), initial=0.0)
    return float(gap if size == 0.0 else gap / size)


def compare(stored, fresh):
    """Print how two folders of one case differ; return the largest."""
    with open(os.path.join(stored, "config.json")) as a:
        with open(os.path.join(fresh, "config.json")) as b:
            same_config = json.load(a) == json.load(b)
    old, new = read_arrays(stored), read_arrays(fresh)
    worst, where = 0.0, "-"
    for key in sorted(set(old) | set(new)):
        both = key in old and key in new
        gap = difference(old[key], new[key]) if both else math.inf
        if gap > worst:
            worst, where = gap, key
    if not same_config:
        worst, where = math.inf, "config.json"
    name = os.path.basename(stored)
    print(f"{name}: largest relative difference {worst:.3e} at {where}")
    return worst


def report(folder, name, arrays):
    """Print the shape, size and course of a case."""
    losses, norms = arrays["train/losses"], arrays["train/grad_norms"]
    clipped = [s for s in range(STEPS) if norms[s] > TRAIN["grad_clip"]]
    case = CASES[name]
    size = sum(
        os.path.getsize(os.path.join(folder, file))
        for file in os.listdir(folder)
    )
    count = sum(a.size for k, a in arrays.items() if k.startswith("grads/"))
    print(
        f"{name}: B {case['B']}, T {case['T']}, "
        f"V {case['config']['vocab_size']}, {count} parameters, "
        f"{size} bytes, loss {losses[0]:.4f} -> {losses[-1]:.4f}, "
        f"clipped steps {clipped}"
    )


def write_cases(out, names, bless):
    """Write the cases; an existing one only with bless. Return exit code."""
    code = 0
    for name in names:
        target = os.path.join(out, name)
        if os.path.exists(target) and not bless:
            if not os.path.exists(os.path.join(target, "logits.h5")):
                write_logits(target, read_model(target).eval(), name)
                print(f"{name}: logits.h5 added")
                continue
            print(f"{name}: exists, left alone (--bless rewrites it)")
            continue
        with tempfile.TemporaryDirectory() as scratch:
            arrays = make_case(scratch, name)
            fresh = os.path.join(scratch, name)
            if os.path.exists(os.path.join(target, "golden.h5")):
                compare(target, fresh)
            shutil.copytree(fresh, target, dirs_exist_ok=True)
        report(target, name, arrays)
        if not arrays["train/losses"][-1] < arrays["train/losses"][0]:
            print(f"{name}: the loss did not fall")
            code = 1
    return code


def check_cases(out, names):
    """Compare the stored cases with fresh ones. Return exit code."""
    code = 0
    for name in names:
        target = os.path.join(out, name)
        if not os.path.exists(os.path.join(target, "golden.h5")):
            print(f"{name}: missing, run without --check to make it")
            code = 1
            continue
        with tempfile.TemporaryDirectory() as scratch:
            make_case(scratch, name)
            worst = compare(target, os.path.join(scratch, name))
        if not worst <= TOLERANCE:
            print(f"{name}: DIFFERS (more than {TOLERANCE:.0e})")
            code = 1
    return code


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("cases", nargs="*", help="cases (default: all)")
    parser.add_argument("--out", default=here, help="folder of the cases")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument(
        "--check", action="store_true", help="compare, write nothing"
    )
    mode.add_argument(
        "--bless", action="store_true", help="rewrite existing cases"
    )
    mode.add_argument("--list", action="store_true", help="list the cases")
    args = parser.parse_args()
    names = args.cases or list(CASES)
    unknown = [name for name in names if name not in CASES]
    if unknown:
        parser.error(f"no such case: {', '.join(unknown)} (see --list)")
    if args.list:
        print("\n".join(names))
        return 0
    torch.set_num_threads(1)
    # A fixed order of summation, so that two runs agree to the last bit.
    torch.use_deterministic_algorithms(True)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    patch_transformers()
    if args.check:
        return check_cases(args.out, names)
    return write_cases(args.out, names, args.bless)


if __name__ == "__main__":
    sys.exit(main())
