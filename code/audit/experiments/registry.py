"""The paper's experiments: every folder beside this file that has an `experiment.py`."""

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

from audit.experiments.common.declaration import Experiment
from audit.pipeline.graph.stage import Stage
from seedstability.errors import UserError

PROFILES = ("smoke", "paper", "long", "full")


def declared(folder: Path, package: str) -> dict[str, Experiment]:
    """Import the declarations of a package's folders, by name."""
    names = sorted(file.parent.name for file in folder.glob("*/experiment.py"))
    return {name: import_module(f"{package}.{name}.experiment").EXPERIMENT for name in names}


EXPERIMENTS = declared(Path(__file__).parent, "audit.experiments")
FIGURES = tuple(figure for each in EXPERIMENTS.values() for figure in each.figures)


def command(experiment: str) -> str:
    """The command that runs an experiment again, in the profile that the paper prints of it."""
    printed_of = "" if "paper" in EXPERIMENTS[experiment].profiles else " --profile long"
    return f"invoke experiments{printed_of} --only {experiment}"


COMMANDS = {
    made: command(name)
    for name, each in EXPERIMENTS.items()
    for made in [*(figure.name for figure in each.figures), *each.tables]
}
"""The command that makes each figure and table again."""


def parts(profile: str, only: Iterable[str] = ()) -> dict[str, dict[str, Stage]]:
    """Map each experiment to its parts, and each part to the stage that measures it.

    Args:
        profile: one of `PROFILES`.
        only: names of experiments; all if empty.

    Raises:
        UserError: unknown profile or experiment; the message lists the known ones.
    """
    names = list(only) or list(EXPERIMENTS)
    for name in names:
        if name not in EXPERIMENTS:
            raise UserError(f"no experiment is called {name!r}; there are {', '.join(EXPERIMENTS)}")
    settings = {name: _settings(name, profile) for name in names}
    found = {
        name: EXPERIMENTS[name].parts(each) if each is not None else {}
        for name, each in settings.items()
    }
    empty = [name for name, stages in found.items() if not stages]
    if only and empty:
        raise UserError(f"{empty[0]} has nothing in profile {profile}; take another profile")
    return {name: stages for name, stages in found.items() if stages}


def printed(profile: str, experiment: str) -> dict[str, Any]:
    """The settings of an experiment that the text prints, as the values of its part `settings`."""
    tell, settings = EXPERIMENTS[experiment].printed, _settings(experiment, profile)
    return {"settings": tell(settings)} if tell and settings is not None else {}


def _settings(experiment: str, profile: str) -> Any:
    """The experiment's settings; None where it has nothing in a profile."""
    if profile not in PROFILES:
        raise UserError(f"no profile is called {profile!r}; there are {', '.join(PROFILES)}")
    return EXPERIMENTS[experiment].profiles.get(profile)
