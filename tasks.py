"""What one can do here: `invoke --list` names it, `invoke --help TASK` explains its flags.

The only place that knows pipeline and experiments both. Tasks order themselves through `pre=`;
what is up to date is the pipeline's business.
"""

import errno
import functools
import os
import random
import re
import subprocess
import sys
import tempfile
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parent
STARTED_IN = Path.cwd()
# `./inv` comes here from wherever it was typed, and says so; what it starts in turn is elsewhere
HERE = Path(os.environ.pop("SEEDSTABILITY_HERE", "") or STARTED_IN)
sys.path.insert(0, str(ROOT / "code"))
os.chdir(ROOT)
# A notebook names its own, without which matplotlib cannot be imported here.
os.environ["MPLBACKEND"] = "agg"

from invoke import Collection, Exit, ParseError, task
from invoke.main import program
from invoke.parser import Parser

from seedstability.errors import UserError
from seedstability.streams import drop_output, make_output_robust

make_output_robust()
PROFILE = (
    "smoke (2 min, tiny), paper (the manuscript's numbers), long (its numbers on the public model,"
    " two hours, rerun when asked), or full (days)"
)
HELP = {
    "profile": PROFILE,
    "only": "names of experiments, separated by commas; all if left out",
    "jobs": "stages at a time; one a core if left out",
    "device": "cpu, or cuda where a card is: dictionaries are then trained on it",
    "from_locked": "run nothing, render the locked values",
    "draft": "render values that are not locked, under a DRAFT mark",
}


def verb(*args, **kwargs):
    """A task whose help is filled in and whose user errors are one line and status 2."""

    def make(body):
        @functools.wraps(body)
        def guarded(c, *values, **flags):
            try:
                from audit.pipeline.execution.run import StageFailed

                if (jobs := flags.get("jobs", 0)) < 0:
                    raise UserError(f"--jobs is {jobs}; it must be at least 1")
                result = body(c, *values, **flags)
                sys.stdout.flush()
                return result
            # First, because it may come before the import ends.
            except KeyboardInterrupt:
                raise Exit("stopped", code=130) from None
            except UserError as mistake:
                raise Exit(f"error: {mistake}", code=2) from None
            except OSError as full:
                if full.errno != errno.ENOSPC:
                    raise
                drop_output()
                raise Exit("error: no space left where output goes; free some", code=2) from None
            except StageFailed as failure:
                raise Exit(str(failure), code=1) from None

        names = body.__code__.co_varnames[1 : body.__code__.co_argcount]
        described = {name: HELP[name] for name in names if name in HELP}
        described |= kwargs.pop("help", {})
        return task(*args, help=described, auto_shortflags=False, **kwargs)(guarded)

    return make


def session(profile: str, device: str = "cpu", only: str = ""):
    """The profile's stages, store and locked values; shared by the tasks of one call."""
    return _session(
        profile, device, tuple(name.strip() for name in only.split(",") if name.strip())
    )


@functools.cache
def _session(profile: str, device: str, only: tuple[str, ...]):
    from audit.session import Session

    return Session(ROOT, profile, device, only)


@verb(help={"dry_run": "print the stages that would run, their order, time and memory"})
def experiments(
    c, profile="paper", only="", jobs=0, device="cpu", from_locked=False, dry_run=False
):
    """Run every stage whose result is not in the store (paper: 20 min from nothing)."""
    if dry_run:
        print(session(profile, device, only).dry_run())
    elif not from_locked:
        session(profile, device, only).run(jobs or None)


@verb(pre=[experiments])
def check(c, profile="paper", only="", jobs=0, device="cpu", from_locked=False, draft=False):
    """Compare every value with its locked one; status 1 where one has left its tolerance."""
    if from_locked:
        return
    here = session(profile, device, only)
    if stale := here.stale_beside():
        print(stale, file=sys.stderr)
    complaint = here.compare()
    if complaint and draft:
        print(complaint.headline)
    elif complaint:
        raise Exit(str(complaint), code=1)


@verb(pre=[check])
def tables(c, profile="paper", jobs=0, device="cpu", from_locked=False, draft=False):
    """Render the LaTeX tables into build/paper/tables."""
    session(profile, device).tables(draft)


@verb(pre=[check])
def figures(c, profile="paper", jobs=0, device="cpu", from_locked=False, draft=False):
    """Draw the figures into build/paper/figures, each only where its values or code changed."""
    session(profile, device).figures(draft)


@verb(pre=[experiments, check, tables, figures])
def paper(c, profile="paper", jobs=0, device="cpu", from_locked=False, draft=False):
    """Everything up to build/paper.pdf and supplement.pdf (nothing changed: 1 s; a word: 4 s)."""
    print(*session(profile, device).paper(draft), sep="\n")


@verb(
    help={
        "accept": "write without asking",
        "keep_values": "keep the values of experiments that this run confirms, and record its keys;"
        " on another kind of machine also how far values lie apart; for code that was only moved",
    }
)
def lock(c, profile="paper", only="", device="cpu", accept=False, keep_values=False):
    """Show what the store's results would change in data/locked, and write it once agreed."""
    agreed = (lambda changes: True) if accept else _agreed
    session(profile, device, only).lock(agreed, keep_values)


@verb()
def status(c, profile="paper", only="", device="cpu"):
    """What is stale, why, and what a rerun costs. Runs nothing."""
    print(session(profile, device, only).status())


@verb(help={"dot": "print it for Graphviz"})
def graph(c, profile="paper", only="", device="cpu", dot=False):
    """The stages and what each needs."""
    print(session(profile, device, only).graph(dot))


@verb(
    help={
        "claim": "one claim or several, such as C02,C25; all if left out",
        "rerun": "run what the claims need anew, in a scratch store, and judge that",
        "json": "print JSON",
        "audit": "instead, run so many stages of the store again and compare every bit",
        "seed": "of the draw of these stages; drawn and printed if left out",
    }
)
def verify(
    c, claim="", rerun=False, json=False, audit=0, seed="", profile="paper", jobs=0, device="cpu"
):
    """Judge the claims on locked values and this machine's; status 1 where a verdict differs."""
    where = session(profile, device)
    if audit or seed:
        _recheck(where, audit, seed, jobs)
        return
    from audit.ledger.table import as_json, print_table

    if rerun:
        with tempfile.TemporaryDirectory(prefix="seedstability-") as scratch:
            verified = where.verify_anew(claim, Path(scratch), jobs or None)
    else:
        verified = where.verify(claim)
    print(as_json(verified)) if json else print_table(verified)
    if any(each.differs for each in verified):
        raise Exit(code=1)


def _recheck(where, audit: int, seed: str, jobs: int) -> None:
    if audit < 1:
        raise UserError(f"--audit is {audit}; it must be how many stages to run again")
    if seed and not seed.isdecimal():
        raise UserError(f"--seed is {seed!r}; it must be a whole number")
    number = int(seed) if seed else random.SystemRandom().randrange(1 << 32)
    with tempfile.TemporaryDirectory(prefix="seedstability-") as scratch:
        found = where.recheck(audit, number, Path(scratch), jobs or None)
    for name, same in found.items():
        print(f"{name}: {'the same bits' if same else 'OTHER BITS'}")
    if not all(found.values()):
        raise Exit(code=1)


@verb(help={"address": "of a printed value, or the beginning of several, such as tokens.sizes"})
def explain(c, address, profile="paper"):
    """What a printed value is, what made it, and where the paper prints it."""
    from audit.explanation import explain as explained

    print(explained(session(profile), address))


@verb()
def compare(c):
    """Measure your own SAEs as the paper does: invoke compare DIR DIR [DIR ...] (all cores)."""
    raise UserError("compare takes the whole line: invoke compare DIR DIR [DIR ...]")


@verb(help={"retrain": "train them again and say whether the bits agree", "name": "one of them"})
def subjects(c, retrain=False, name=""):
    """The transformers whose weights are in data/subjects (retraining: 30 min)."""
    from audit.retraining import describe_subjects, retrain_subjects

    if not retrain:
        print(describe_subjects())
        return
    for line in retrain_subjects(name):
        print(line, flush=True)


@verb(
    help={
        "part": "a file or folder, or an expression as of pytest -k; also without this flag",
        "all": "also the paper profile from nothing and the container (40 min)",
        "jobs": "tests side by side; one a core if left out",
    }
)
def test(c, part="", all=False, jobs=0):
    """Run the tests (8 min), or a part of them: invoke test FILE_OR_EXPRESSION."""
    at_once = ["-n", str(jobs or len(os.sched_getaffinity(0))), "--dist", "loadfile"]
    chosen = [] if all else ["-m", "not slow and not container"]
    if part:
        place = HERE / part
        chosen += [str(place)] if Path(str(place).partition("::")[0]).exists() else ["-k", part]
    # Files begin in the order of `tests/conftest.py`.
    words = [*at_once, "--no-loadscope-reorder", *chosen]
    found = subprocess.run([sys.executable, "-m", "pytest", *words], check=False)
    if found.returncode:
        raise Exit(code=found.returncode)


@verb()
def lint(c):
    """Format, lint and types."""
    for command in (("ruff", "format", "--check", "."), ("ruff", "check", "."), ("mypy",)):
        if subprocess.run([sys.executable, "-m", *command], check=False).returncode:
            raise Exit(code=1)


@verb(help={"everything": "the rendered paper as well"})
def clean(c, everything=False):
    """Remove results that no profile needs any more."""
    from audit.pruning import prune

    print(prune(ROOT, everything))


def _agreed(changes: int) -> bool:
    if not sys.stdin.isatty():
        raise UserError(
            f"{changes} changes shown and no terminal to agree on; add --accept to write them"
        )
    return input(f"write {changes} changes? [y/N] ").strip().lower() in ("y", "yes")


def _hand_over_to_library(words: list[str], help: str | None) -> None:
    """Replace this process by the library's own `compare`, with the words as they were typed.

    Invoke's tasks have no arguments that may come any number of times without a flag. What it is
    about to parse lies in `program.core` while this file is loaded.
    """
    if words[:1] != ["compare"] and help != "compare":
        return
    into = ["--out", str(ROOT / "build" / "compare")]
    typed = ["--help"] if help else [*into, *words[1:]]
    if help:
        print(
            "invoke compare DIR DIR [DIR ...], with --out build/compare if left out, is\n",
            flush=True,
        )
    path = os.pathsep.join([str(ROOT / "code"), *filter(None, [os.environ.get("PYTHONPATH")])])
    os.chdir(HERE)
    os.execve(
        sys.executable,
        # -P: no file of the user's folder takes the place of a module
        [sys.executable, "-P", "-m", "seedstability", "compare", *typed],
        {**os.environ, "PYTHONPATH": path},
    )


def _name_part(words: list[str]) -> None:
    """Let `test` take what to run without a flag, which Invoke allows only where it is required."""
    if words[:1] == ["test"] and len(words) > 1 and not words[1].startswith("-"):
        words.insert(1, "--part")


def _refuse_unknown(words: list[str]) -> None:
    """Name the nearest task or flag for one that is not there; Invoke itself gives status 1."""
    ours = Collection.from_module(sys.modules[__name__])
    texts = {each: dict(each.help) for each in ours.tasks.values()}
    tasks = ours.to_contexts()
    for each, text in texts.items():
        each.help = text  # which making contexts uses up
    try:
        Parser(initial=program.initial_context, contexts=tasks).parse_argv(list(words))
    except ParseError as mistake:
        raise Exit(f"error: {_right_words(mistake, tasks)}", code=2) from None
    except ValueError:  # Invoke makes numbers of values itself
        raise Exit(f"error: {_no_number(words)}", code=2) from None


def _no_number(words: list[str]) -> str:
    flat = [part for word in words for part in re.split(r"(?<=\w)=", word, maxsplit=1)]
    for flag, value in pairwise(flat):
        if flag in ("--jobs", "--audit") and not value.isdecimal():
            return f"{flag} is {value!r}; it must be a whole number"
    return "a flag that takes a whole number has something else"


def _right_words(mistake: ParseError, tasks: list) -> str:
    unknown = re.fullmatch(r"No idea what '(.*)' is!", str(mistake))
    if not unknown:
        return re.sub(r"Flag <Argument: ([\w-]+).*", r"--\1 needs a value", str(mistake))
    word, kind, names = unknown[1], "task", [each.name for each in tasks]
    if mistake.context and word.startswith("-"):
        kind, names = "flag", [*mistake.context.flags]
    near = get_close_matches(word, names)
    right = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(names)}"
    return f"no {kind} is called {word!r}; {right}"


# Absent where this file is loaded by something else than Invoke's own command.
if core := getattr(program, "core", None):
    _name_part(core.unparsed)
    _hand_over_to_library(core.unparsed, core[0].args.help.value)
    _refuse_unknown(core.unparsed)
