"""The paper's experiments by name, in the order of its sections."""

from collections.abc import Iterable

from audit.experiments.activations import experiment as activations
from audit.experiments.alignment import experiment as alignment
from audit.experiments.chance import experiment as chance
from audit.experiments.consistency import experiment as consistency
from audit.experiments.domains import experiment as domains
from audit.experiments.explanations import experiment as explanations
from audit.experiments.grid import experiment as grid
from audit.experiments.interventions import experiment as interventions
from audit.experiments.language import experiment as language
from audit.experiments.matching import experiment as matching
from audit.experiments.modular import experiment as modular
from audit.experiments.planted import experiment as planted
from audit.experiments.pooling import experiment as pooling
from audit.experiments.seeds import experiment as seeds
from audit.experiments.subspaces import experiment as subspaces
from audit.experiments.symmetry import experiment as symmetry
from audit.experiments.tokens import experiment as tokens
from audit.pipeline.graph.stage import Stage
from seedstability.errors import UserError

EXPERIMENTS = {
    "chance": chance,
    "modular": modular,
    "consistency": consistency,
    "matching": matching,
    "language": language,
    "tokens": tokens,
    "seeds": seeds,
    "alignment": alignment,
    "domains": domains,
    "activations": activations,
    "explanations": explanations,
    "subspaces": subspaces,
    "planted": planted,
    "pooling": pooling,
    "symmetry": symmetry,
    "interventions": interventions,
    "grid": grid,
}
PROFILES = ("smoke", "paper", "full")


def parts(profile: str, only: Iterable[str] = ()) -> dict[str, dict[str, Stage]]:
    """Map each experiment to its parts, and each part to the stage that measures it.

    Args:
        profile: `smoke`, `paper` or `full`.
        only: names of experiments; all if empty.

    Raises:
        UserError: unknown profile or experiment; the message lists the known ones.
    """
    if profile not in PROFILES:
        raise UserError(f"no profile is called {profile!r}; there are {', '.join(PROFILES)}")
    names = list(only) or list(EXPERIMENTS)
    for name in names:
        if name not in EXPERIMENTS:
            raise UserError(f"no experiment is called {name!r}; there are {', '.join(EXPERIMENTS)}")
    found = {name: EXPERIMENTS[name].parts(EXPERIMENTS[name].PROFILES[profile]) for name in names}
    empty = [name for name, stages in found.items() if not stages]
    if only and empty:
        raise UserError(f"{empty[0]} has nothing in profile {profile}; take another profile")
    return {name: stages for name, stages in found.items() if stages}
