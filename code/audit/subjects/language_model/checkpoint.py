"""Open a language model: the small one, one from a package, one of the hub, or a local folder.

Every model is a Hugging Face folder with `config.json`, safetensors and `tokenizer.json`. The small
model is in `data/`, those of packages are dequantized once, those of the hub are in its cache, at a
pinned revision. The hub is contacted only if the caller allows a download.
"""

import json
import re
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from tokenizers import Tokenizer
from transformer_lens.model_bridge import TransformerBridge
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

from audit.subjects.language_model import small
from audit.subjects.language_model.config import FOLDER, HUB, NAMES, OURS, WHEELS
from audit.subjects.language_model.dequantized import dequantized
from audit.subjects.language_model.quiet import quiet_transformers
from audit.subjects.language_model.text import SEPARATOR
from seedstability.errors import UserError

TOKENIZER, CONFIG = "tokenizer.json", "config.json"
POINTS = ("resid_pre", "resid_post", "mlp_out", "attn_out")
"""Hook points of a block: the residual stream before and after it, and the outputs of its MLP and
attention."""
_HOOK = re.compile(rf"blocks\.(\d+)\.hook_({'|'.join(POINTS)})")


def open_model(name: str, allow_download: bool = False) -> TransformerBridge:
    """Open a model in single precision, in evaluation mode, with hook points at every block.

    Weights are as stored: no layer norm is folded, nothing is centered.

    Args:
        name: one of `NAMES`, or a path to a folder.
        allow_download: whether files missing from the hub's cache may be downloaded.

    Raises:
        UserError: there is no such model, it would have to be downloaded, or its files are missing
            or damaged.
    """
    folder = model_folder(name, allow_download)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=_tokenizer(folder),
        bos_token=SEPARATOR,
        eos_token=SEPARATOR,
        pad_token=SEPARATOR,
        name_or_path=str(folder),
    )
    # Weights are drawn before they are read; the fork keeps the caller's generator unchanged.
    with torch.random.fork_rng(devices=[]):
        bridge = _with_hooks(folder, _weights(folder), tokenizer)
    return bridge.eval().requires_grad_(False)


def open_tokenizer(name: str, allow_download: bool = False) -> Tokenizer:
    """Open a model's tokenizer.

    Args:
        name, allow_download: as for `open_model`.

    Raises:
        UserError: as `open_model`, and if the tokenizer has no `<|endoftext|>`.
    """
    return _tokenizer(model_folder(name, allow_download))


def model_folder(name: str, allow_download: bool = False) -> Path:
    """Return the folder of a model's files.

    Raises:
        UserError: there is no such model, or it would have to be downloaded.
    """
    if name == OURS:
        small.verified_recipe(FOLDER)
        return FOLDER
    if name in HUB:
        return _cached(name, allow_download)
    if name in WHEELS:
        return dequantized(WHEELS[name])
    folder = Path(name)
    if folder.is_dir():
        return folder
    near = get_close_matches(name, NAMES, n=1, cutoff=0.5)
    meant = f"; did you mean {near[0]}?" if near else "."
    raise UserError(
        f"no model and no folder is called {name!r}{meant} Give one of {', '.join(NAMES)}, "
        "or the path of a Hugging Face folder"
    )


def checked_hook(hook: str, n_layers: int) -> str:
    """Return the name of a hook point after checking that a model of `n_layers` blocks has it.

    Raises:
        UserError: there is no such hook point or block.
    """
    found = _HOOK.fullmatch(hook)
    points = ", ".join(f"hook_{point}" for point in POINTS)
    if not found:
        raise UserError(f"no hook is called {hook!r}; say blocks.N. and one of {points}")
    if int(found[1]) >= n_layers:
        raise UserError(
            f"{hook!r} is in block {int(found[1])}, but the model has blocks 0 to {n_layers - 1}"
        )
    return hook


def _cached(name: str, allow_download: bool) -> Path:
    repository, revision = HUB[name][:2]
    try:
        folder = snapshot_download(
            repository,
            revision=revision,
            allow_patterns=[CONFIG, TOKENIZER, "model.safetensors"],
            local_files_only=not allow_download,
        )
    except Exception as error:  # many kinds: of the hub, the transport and the file system
        why = _first_line(error) if allow_download else "no download is allowed here"
        raise UserError(
            f"{repository} at {revision[:12]} is not in the hub's cache and cannot be fetched "
            f"({why}); run with --profile full where there is a network, or give the path "
            "of a folder with its files"
        ) from None
    return Path(folder)


def _weights(folder: Path) -> PreTrainedModel:
    _config(folder)
    _weight_files(folder)
    try:
        with quiet_transformers():
            found: Any = AutoModelForCausalLM.from_pretrained(
                folder, dtype=torch.float32, local_files_only=True, output_loading_info=True
            )
    except Exception as error:  # damaged files: any error of any reader
        raise _damaged(folder, _first_line(error)) from None
    model, loaded = found
    lacking = sorted(loaded["missing_keys"]) + sorted(map(str, loaded["mismatched_keys"]))
    if lacking:
        # transformers would initialize these at random and continue.
        raise _damaged(folder, f"{len(lacking)} weights are not there, the first is {lacking[0]}")
    for key, weight in model.state_dict().items():
        if weight.is_floating_point() and not weight.isfinite().all():
            raise _damaged(folder, f"{key} is not finite")
    return model


def _with_hooks(
    folder: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast
) -> TransformerBridge:
    try:
        return TransformerBridge.boot_transformers(
            str(folder), hf_model=model, tokenizer=tokenizer, device="cpu"
        )
    except (NotImplementedError, ValueError):
        raise UserError(
            f"{folder} holds a model of type {model.config.model_type!r}, which TransformerLens "
            "has no hooks for; give one of GPT-2's, GPT-NeoX's or Llama's architecture"
        ) from None


def _config(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} cannot be read ({_first_line(error)}); give a folder as Hugging Face saves one"
        ) from None
    if not isinstance(config, dict) or "model_type" not in config:
        raise UserError(f"{path} names no model_type; give a folder as Hugging Face saves one")
    return config


def _weight_files(folder: Path) -> list[Path]:
    files = sorted(folder.glob("model*.safetensors"))
    if not files:
        raise UserError(
            f"{folder} has no model.safetensors; save the model with "
            "save_pretrained(…, safe_serialization=True)"
        )
    return files


def _tokenizer(folder: Path) -> Tokenizer:
    path = folder / TOKENIZER
    if not path.is_file():
        raise UserError(f"{path} is not there; put the model's fast tokenizer beside its weights")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the reader is written in Rust and raises plain Exception
        raise UserError(f"{path} cannot be read ({_first_line(error)}); restore it") from None
    if tokenizer.token_to_id(SEPARATOR) is None:
        raise UserError(f"{path} has no {SEPARATOR}, with which every context begins; add it")
    return tokenizer


def _damaged(folder: Path, why: str) -> UserError:
    return UserError(f"the weights in {folder} cannot be used: {why}; restore or save them again")


def _first_line(error: BaseException) -> str:
    """Return the first line of an error's message."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
