"""Run in the peers' environment.

python peers_main.py write FOLDER    every library's checkpoints, and what each makes of x
python peers_main.py read FOLDER     what the libraries make of x with the checkpoints there
"""

import sys
from pathlib import Path

import numpy as np
import peers_dictionary_learning
import peers_saelens
import peers_sparsify
import torch
from peers_random import SAMPLES, D

LIBRARIES = {
    "saelens": peers_saelens,
    "sparsify": peers_sparsify,
    "dictionary_learning": peers_dictionary_learning,
}


def write(folder):
    x = torch.randn(SAMPLES, D, generator=torch.Generator().manual_seed(2)) + 0.5
    folder.mkdir()
    np.save(folder / "x.npy", x.numpy())
    for library, module in LIBRARIES.items():
        (folder / "read" / library).mkdir(parents=True)
        (folder / "refused" / library).mkdir(parents=True)
        for name, sae in module.write(lambda name, home=library: folder / "read" / home / name):
            np.save(folder / "read" / library / f"{name}.npy", reconstruct(sae, x))
        module.write_refused(lambda name, home=library: folder / "refused" / home / name)


def read(folder):
    x = torch.from_numpy(np.load(folder / "x.npy"))
    for library in ("saelens", "sparsify"):
        for each in sorted((folder / library).iterdir()):
            sae = LIBRARIES[library].read(each)
            np.save(folder / library / f"{each.name}.npy", reconstruct(sae, x))


@torch.no_grad()
def reconstruct(sae, x):
    return sae(x).float().numpy()


if __name__ == "__main__":
    {"write": write, "read": read}[sys.argv[1]](Path(sys.argv[2]))
