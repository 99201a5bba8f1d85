"""Made-up reports by the contract between the measures and their page: plain dictionaries."""

import numpy as np

LEVELS = ("isotropic", "untrained", "data", "gauge")
BINS = 40


def interval(value: float, width: float, n_seeds: int) -> dict:
    label = f"95% over {n_seeds} seeds" if n_seeds >= 5 else "range of the pairs"
    return {"value": value, "low": value - width, "high": value + width, "interval": label}


def statistic(value: float, chance: dict, n_seeds: int, unit: str = "") -> dict:
    """A measure with its chance levels; those that are None are not available."""
    kappa = {
        level: interval((value - c) / (1 - c), 0.01, n_seeds)
        for level, c in chance.items()
        if c is not None and not unit
    }
    p = 0.01 if chance["gauge"] is not None else None
    return {
        **interval(value, 0.02 * value, n_seeds),
        "unit": unit,
        "chance": dict(chance),
        "kappa": kappa,
        "p_gauge": p,
    }


def measures(n_seeds: int, activations: bool) -> dict:
    known = {"isotropic": 0.283, "untrained": None, "data": None, "gauge": None}
    if activations:
        known |= {"untrained": 0.2828, "data": 0.352, "gauge": 0.361}
    shares = {level: None if c is None else 100 * c / 900 for level, c in known.items()}
    full = {
        "max_cosine": statistic(0.412, known, n_seeds),
        "max_abs_cosine": statistic(0.428, known, n_seeds),
        "matched_mean": statistic(0.371, known, n_seeds),
        "matched_median": statistic(0.302, known, n_seeds),
        "shared": statistic(13.2, shares, n_seeds, "%"),
        "shared_decoder_only": statistic(17.9, shares, n_seeds, "%"),
        "agreeing": statistic(22.4, shares, n_seeds, "%"),
    }
    found = {"full": full}
    if activations:
        live = {"isotropic": 0.27, "untrained": None, "data": None, "gauge": 0.33}
        found["live"] = {"max_cosine": statistic(0.5, live, n_seeds)}
        found["span"] = {"encoder_max_cosine": statistic(0.4, live, n_seeds)}
    return found


def symmetric(n_seeds: int, ring: bool, rng: np.random.Generator) -> list:
    """Values of all pairs, or of neighbours only."""
    table: list = [[None] * n_seeds for _ in range(n_seeds)]
    for i in range(n_seeds):
        for j in range(i):
            if not ring or i - j == 1 or i - j == n_seeds - 1:
                table[i][j] = table[j][i] = round(float(rng.uniform(0.3, 0.45)), 4)
    return table


def bell(centre: float, width: float, edges: np.ndarray) -> list:
    middle = (edges[1:] + edges[:-1]) / 2
    shares = np.exp(-(((middle - centre) / width) ** 2) / 2)
    return [round(float(share), 6) for share in shares / shares.sum()]


def distribution(activations: bool) -> dict:
    edges = np.linspace(-1, 1, BINS + 1)
    low, high = np.array(bell(0.3, 0.05, edges)), np.array(bell(0.95, 0.05, edges))
    ours = [float(share) for share in 0.7 * low + 0.3 * high]
    chance = {
        "isotropic": bell(0.28, 0.03, edges),
        "gauge": bell(0.34, 0.04, edges) if activations else None,
    }
    return {
        "edges": [round(float(edge), 4) for edge in edges],
        "matched": ours,
        "best": ours,
        "chance_best": chance,
        "chance_matched": dict(chance),
    }


def reproducibility(n_seeds: int, activations: bool) -> dict:
    camps = {}
    for threshold, mean in (("0.5", 0.55), ("0.7", 0.41), ("0.9", 0.2)):
        chance = {"isotropic": 0.0, "untrained": None, "data": None, "gauge": None}
        if activations:
            chance |= {"untrained": 0.0, "data": 0.1, "gauge": 0.13}
        camps[threshold] = {
            "mean": interval(mean, 0.05, n_seeds),
            "stable": interval(0.3, 0.02, n_seeds),
            "between": interval(0.2, 0.02, n_seeds),
            "unstable": interval(0.5, 0.02, n_seeds),
            "chance": chance,
        }
    counts = np.linspace(400, 100, n_seeds).astype(int).tolist()
    histogram = {"votes": list(range(n_seeds)), "count": counts}
    law = {"a": 0.31, "b": 0.52, "two_camps": True, "stable": interval(0.3, 0.1, n_seeds)}
    live = {key: {k: v for k, v in camp.items() if k != "chance"} for key, camp in camps.items()}
    return {
        "threshold": 0.7,
        "thresholds": camps,
        "live": live if activations else None,
        "fit": law if n_seeds > 2 else None,
        "histogram": histogram,
    }


def firing() -> dict:
    edges = np.linspace(-5, 0, 11)
    middle = np.linspace(0.3, 0.8, 10)
    # the second bin is one without latents
    value = [None if bin == 1 else round(float(x), 4) for bin, x in enumerate(middle)]
    return {
        "edges": [float(edge) for edge in edges],
        "median_cosine": value,
        "low": [None if x is None else x - 0.1 for x in value],
        "high": [None if x is None else x + 0.1 for x in value],
        "count": [5, 0, 40, 80, 200, 300, 150, 60, 20, 3],
        "dead": {"count": 120, "median_cosine": 0.21},
    }


def inputs(names: list[str], n: int, d: int, activations: bool) -> dict:
    def dictionary(name: str, folder: str) -> dict:
        files = {"cfg.json": "ab" * 32, "sae_weights.safetensors": "cd" * 32}
        shape = {"architecture": "TopK", "n_latents": n, "d": d}
        return {"name": name, "folder": folder, "format": "saelens", **shape, "files": files}

    measured = {"file": "acts.npy", "samples": 10_000, "d": d, "sha256": "ef" * 32}
    measured["rank"] = {"participation": 12.3, "span": d}
    return {
        "dictionaries": [dictionary(name, f"runs/{name}") for name in names],
        "differences": [],
        "activations": measured if activations else None,
        "initial": [dictionary(name, f"starts/{name}") for name in names] if activations else None,
    }


def arrays(n_seeds: int, n: int, ring: bool, activations: bool) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    pairs = [(i, j) for i in range(n_seeds) for j in range(i + 1, n_seeds)]
    if ring:
        pairs = [(i, (i + 1) % n_seeds) for i in range(n_seeds)]
    partner = np.stack([rng.permutation(n) for _ in pairs]).astype(np.int32)
    cosine = rng.uniform(-0.1, 1, partner.shape).astype(np.float32)
    best = rng.uniform(0.1, 1, (n_seeds, n)).astype(np.float32)
    best[0, :4] = best[0, 0]  # ties
    matched = (best - 0.05).astype(np.float32)
    matched[-1, -1] = np.nan  # a latent of a larger dictionary, without a partner
    votes = rng.integers(0, n_seeds, (n_seeds, n))
    made = {
        "pairs": np.array(pairs, np.int32),
        "partner": partner,
        "cosine": cosine,
        "encoder_partner": partner,
        "encoder_cosine": cosine,
        "price_a": np.zeros(partner.shape),
        "price_b": np.zeros(partner.shape),
        "reproducibility": (votes / (n_seeds - 1)).astype(np.float32),
        "best_cosine": best,
        "matched_cosine": matched,
    }
    if activations:
        made["firing"] = (10.0 ** rng.uniform(-5, 0, best.shape)).astype(np.float32)
        made["firing"][:, ::7] = 0
    return made


def example(
    n_seeds: int = 5,
    n: int = 64,
    d: int = 32,
    activations: bool = True,
    names: list[str] | None = None,
) -> tuple[dict, dict[str, np.ndarray]]:
    """The document and the arrays of a report."""
    names = names or [f"seed {index}" for index in range(n_seeds)]
    ring = n_seeds > 5
    rng = np.random.default_rng(1)
    worth = {"live": n - 9, "explained_variance": 0.871, "l0": 16.0, "dead_fraction": 9 / n}
    worth["cosine_with_start"] = 0.41
    pair = {"total": 0.37 * n, "bound": 2e-9 * n, "method": "exact, sparse with prices"}
    document = {
        "schema": "seedstability-report-1",
        "software": {
            "version": "0.1.0",
            "numeric_abi": {"cpu": "GenuineIntel", "instructions": "avx2", "device": "cpu"},
            "packages": {"numpy": "2.4.0", "torch": "2.9.0+cpu"},
        },
        "inputs": inputs(names, n, d, activations),
        "settings": {"neighbours": 1, "complete": 5, "chance_draws": 10, "threshold": 0.7},
        "summary": [
            "41% of latents recur; 13% would by chance.",
            "A latent recurs if some latent of the other dictionary has cosine 0.7 with it.",
        ],
        "notes": [] if activations else ["not available: data and gauge; they need --activations"],
        "dictionaries": [worth if activations else dict.fromkeys(worth) for _ in names],
        "measures": measures(n_seeds, activations),
        "pairs": {
            "full": {
                "max_cosine": symmetric(n_seeds, False, rng),
                "matched_mean": symmetric(n_seeds, ring, rng),
            }
        },
        "reproducibility": reproducibility(n_seeds, activations),
        "subspaces": {
            "8": {"overlap": interval(0.41, 0.05, n_seeds), "chance": 8 / d},
            "16": {"overlap": interval(0.7, 0.02, n_seeds), "chance": 16 / d},
        },
        "distribution": distribution(activations),
        "firing": firing() if activations else None,
        "matchings": [
            {"pair": [i, (i + 1) % n_seeds], "of": of, **pair}
            for i in range(n_seeds if n_seeds > 2 else 1)
            for of in ("decoder", "encoder")
        ],
    }
    return document, arrays(n_seeds, n, ring, activations)
