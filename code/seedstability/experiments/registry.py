"""The paper's experiments by name, in the order of its sections."""

from collections.abc import Iterable

from seedstability.errors import UserError
from seedstability.experiments import chance, consistency, matching, modular
from seedstability.pipeline.stage import Stage

EXPERIMENTS = {
    "chance": chance,
    "modular": modular,
    "consistency": consistency,
    "matching": matching,
}
PROFILES = ("smoke", "paper", "full")


def parts(profile: str, only: Iterable[str] = ()) -> dict[str, dict[str, Stage]]:
    """Experiment → part → the stage that measures it.

    Args:
        profile: `smoke`, `paper` or `full`.
        only: names of the experiments wanted; none means all.

    Raises:
        UserError: for a profile or an experiment that does not exist, with those that do.
    """
    if profile not in PROFILES:
        raise UserError(f"no profile is called {profile!r}; there are {', '.join(PROFILES)}")
    names = list(only) or list(EXPERIMENTS)
    for name in names:
        if name not in EXPERIMENTS:
            raise UserError(f"no experiment is called {name!r}; there are {', '.join(EXPERIMENTS)}")
    return {name: EXPERIMENTS[name].parts(EXPERIMENTS[name].PROFILES[profile]) for name in names}
