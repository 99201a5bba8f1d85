"""The command line of the library: `seedstability compare`, `match`, `chance` and `convert`.

A mistake is one line on standard error, `error: what, where, what would be right`, and status 2.
"""

import json
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from seedstability import __version__
from seedstability.errors import UserError
from seedstability.streams import make_output_robust

NAME = "seedstability"
REPORT = "seedstability-report"
KINDS: tuple[Literal["max_cosine", "max_abs_cosine"], ...] = ("max_cosine", "max_abs_cosine")
MISUSE, STOPPED = 2, 130

# typer has click's classes under another name in each version; this one it exports.
_UsageError: type[Exception] = typer.BadParameter.__bases__[0]


class _Commands(TyperGroup):
    """Commands that name the nearest ones when they are asked for another."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that the first word names.

        Raises:
            UserError: there is none.
        """
        if args and args[0] not in self.commands:
            raise UserError(f"no command is called {args[0]!r}; {_nearest(args[0], self.commands)}")
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=_Commands,
    help="Measure how much of a sparse autoencoder's dictionary recurs with another seed.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def main(words: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status.

    Args:
        words: what was typed. If left out, what this process was started with; commands whose bits
            depend on the environment then re-exec it pinned.
    """
    if words is None:
        make_output_robust()
        # A notebook names its own, without which matplotlib cannot be imported here.
        os.environ["MPLBACKEND"] = "agg"
    typed = _repeated(sys.argv[1:] if words is None else words, "--against")
    command = typer.main.get_command(app)
    try:
        with command.make_context(NAME, typed, obj=words is None) as context:
            command.invoke(context)
    except typer.Exit as ended:
        return ended.exit_code
    except UserError as mistake:
        return _refuse(str(mistake))
    except _UsageError as mistake:
        return _refuse(_usage_mistake(mistake, typed))
    except KeyboardInterrupt:
        print("stopped; nothing was written", file=sys.stderr)
        return STOPPED
    return 0


def _repeated(words: Sequence[str], option: str) -> list[str]:
    """The words with the option before each of its values: a shell expands `--against B*` to many,
    and typer takes one an option."""
    repeated: list[str] = []
    within = False
    for place, word in enumerate(words):
        if word == option:
            within = True
            if words[place + 1 : place + 2] and not words[place + 1].startswith("-"):
                continue  # without a value it is left to be complained of
        elif within and not word.startswith("-"):
            repeated.append(option)
        else:
            within = False
        repeated.append(word)
    return repeated


def _number(name: str) -> Callable[[Any], float]:
    def parse(text: Any) -> float:
        try:
            return float(text)
        except ValueError:
            raise UserError(f"{name} is {text!r}; it must be a number, such as 0.7") from None

    return parse


def _at_least(least: int, name: str) -> Callable[[Any], int]:
    def parse(text: Any) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least:
            raise UserError(f"{name} is {text!r}; it must be a whole number of at least {least}")
        return value

    return parse


def _one_of(names: Sequence[str], name: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in names:
            raise UserError(f"{name} is {text!r}; it must be one of {', '.join(names)}")
        return text

    return parse


Threshold = Annotated[
    float,
    typer.Option(
        parser=_number("threshold"),
        metavar="COSINE",
        help="Cosine above which two latents are the same.",
    ),
]
AsJSON = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        print(__version__)
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command()
def compare(
    context: typer.Context,
    folders: Annotated[
        list[str] | None,
        typer.Argument(metavar="DIR", help="The SAEs, a folder or file each: two or more."),
    ] = None,
    activations: Annotated[
        str,
        typer.Option(
            metavar="FILE",
            help="What they were trained on: a .npy, a .safetensors, or a folder of .npy.",
        ),
    ] = "",
    against: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DIR ...",
            help="A second group of SAEs: all that follow, up to the next option.",
        ),
    ] = None,
    over_time: Annotated[
        bool,
        typer.Option("--over-time", help="They are checkpoints of one run, named by their steps."),
    ] = False,
    initial: Annotated[
        str,
        typer.Option(
            metavar="DIR,DIR,...",
            help="Folders of the same SAEs before their first step, in the same order.",
        ),
    ] = "",
    out: Annotated[
        Path,
        typer.Option(
            metavar="DIR", help="Folder to write; one that holds an earlier report is replaced."
        ),
    ] = Path(REPORT),
    threshold: Threshold = 0.7,
    all_pairs: Annotated[
        bool,
        typer.Option(
            "--all-pairs",
            help="Match all pairs one to one, not each with the next beyond five.",
        ),
    ] = False,
    allow_different: Annotated[
        bool,
        typer.Option(
            "--allow-different",
            help="Compare SAEs that differ in more than the seed, as configurations.",
        ),
    ] = False,
    decoders_only: Annotated[
        bool,
        typer.Option(
            "--decoders-only",
            help="Compare decoders alone: of any class, or a file with one matrix [n, d].",
        ),
    ] = False,
    drop_outliers: Annotated[
        bool,
        typer.Option(
            "--drop-outliers",
            help="Leave out samples with a norm above 10 times the median.",
        ),
    ] = False,
    tokens: Annotated[
        str,
        typer.Option(
            metavar="FILE",
            help="The token of each activation, .json or .txt: lists the top contexts of latents.",
        ),
    ] = "",
    key: Annotated[
        str,
        typer.Option(metavar="NAME", help="Which tensor of a file of activations with several."),
    ] = "",
) -> None:
    """Measure SAEs of several seeds, each figure with its chance levels; write a report.

    The folder gets report.json and latents.npz, both or none, then report.html. Uses all cores.
    """
    _pin_numerics(context)
    from seedstability.numerics.abi import numeric_abi
    from seedstability.report.compare import compare as compare_saes
    from seedstability.report.report import check_target
    from seedstability.terminal import PhaseProgress

    check_target(out)
    with PhaseProgress() as phases:
        report = compare_saes(
            folders or [],
            activations or None,
            [folder for folder in initial.split(",") if folder] or None,
            threshold=threshold,
            all_pairs=all_pairs,
            against=against,
            over_time=over_time,
            allow_different=allow_different,
            decoders_only=decoders_only,
            drop_outliers=drop_outliers,
            activations_key=key or None,
            tokens=tokens or None,
            numeric_abi=asdict(numeric_abi()),
            listener=phases,
        )
    try:
        files = report.write(out)
    except KeyboardInterrupt:
        print(f"stopped; {out} may lack report.html", file=sys.stderr)
        raise typer.Exit(STOPPED) from None
    print(*report.summary, *files, sep="\n")


@app.command("match")
def match_pair(
    context: typer.Context,
    a: Annotated[Path, typer.Argument(metavar="A", help="An SAE's folder, or a file.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="Another SAE's folder, or a file.")],
    threshold: Threshold = 0.7,
    as_json: AsJSON = False,
) -> None:
    """Match the latents of two SAEs one to one, exactly, with a certificate.

    A file is a .npy or .safetensors with one matrix, a latent's decoder direction a row.
    """
    _pin_numerics(context)
    from seedstability.similarity.pair_summary import pair_summary, read_directions

    found = pair_summary(read_directions(a), read_directions(b), threshold)
    print(json.dumps(found, indent=2) if as_json else _match_text(found))


@app.command()
def align(
    context: typer.Context,
    a: Annotated[Path, typer.Argument(metavar="A", help="An SAE's folder.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="The SAE whose latents are reordered.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="A new or empty folder.")],
    to: Annotated[
        str, typer.Option(metavar="FORMAT", help="seedstability, saelens or sparsify.")
    ] = "seedstability",
) -> None:
    """Write B with its latents in the order of their one-to-one partners in A."""
    _pin_numerics(context)
    from seedstability.dictionaries.formats.folder import load, save
    from seedstability.similarity import alignment

    save(alignment.align(load(a), load(b)), out, to)
    print(*sorted(out.iterdir()), sep="\n")


@app.command()
def summarize(
    report: Annotated[
        Path, typer.Argument(metavar="REPORT", help="A report's folder, or its report.json.")
    ],
    to: Annotated[
        str,
        typer.Option(
            parser=_one_of(("markdown", "latex"), "to"),
            metavar="LANGUAGE",
            help="markdown, or latex with booktabs.",
        ),
    ] = "markdown",
) -> None:
    """Print the main measures of a report as a table to paste into a paper."""
    from seedstability.report.report import read_document
    from seedstability.report.summary import summary

    print(summary(read_document(report), "latex" if to == "latex" else "markdown"))


@app.command()
def chance(
    latents: Annotated[
        int,
        typer.Option(
            parser=_at_least(1, "latents"), metavar="N", help="Latents of the other dictionary."
        ),
    ],
    width: Annotated[
        int,
        typer.Option(parser=_at_least(2, "width"), metavar="D", help="Width of the activations."),
    ],
    kind: Annotated[
        str,
        typer.Option(
            parser=_one_of((*KINDS, "both"), "kind"),
            metavar="KIND",
            help="max_cosine (same direction), max_abs_cosine (also the opposite one), or both.",
        ),
    ] = "both",
    threshold: Threshold = 0.7,
    as_json: AsJSON = False,
) -> None:
    """Say what unrelated latents score: the best cosine of one with N others in R^D."""
    from seedstability.stability.chance import closed_form

    if not -1.0 < threshold < 1.0:
        raise UserError(f"threshold is {threshold:g}; it must lie between -1 and 1")
    found: dict[str, Any] = {"latents": latents, "width": width}
    for each in (each for each in KINDS if kind in (each, "both")):
        found[each] = {
            "mean": closed_form.chance_level(latents, width, each),
            "std": closed_form.chance_std(latents, width, each),
            "quantile95": closed_form.chance_quantile(0.95, latents, width, each),
        }
    found["threshold"] = threshold
    found["reproducibility"] = closed_form.chance_reproducibility(latents, width, threshold)
    print(json.dumps(found, indent=2) if as_json else _chance_text(found))


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="An SAE's folder.")],
    target: Annotated[Path, typer.Argument(metavar="DST", help="A new or empty folder.")],
    to: Annotated[str, typer.Option(metavar="FORMAT", help="seedstability, saelens or sparsify.")],
) -> None:
    """Write an SAE in another library's checkpoint format; nothing is overwritten."""
    from seedstability.dictionaries.formats.folder import load, recognize, save

    found = recognize(source)
    sae = load(source)
    save(sae, target, to)
    n, d = sae.decoder.shape
    print(f"{found.format} to {to}: {sae.config.architecture}, {n:,} latents of width {d:,}")
    print(*sorted(target.iterdir()), sep="\n")


def _pin_numerics(context: typer.Context) -> None:
    """Fix what decides the bits of a result, where this process is the command itself."""
    if context.obj:
        from seedstability.numerics.pinning import fix_after_torch
        from seedstability.numerics.reexec import reexec_pinned

        # what flushing denormals does is meant, and older NumPy warns of it
        warnings.filterwarnings("ignore", "The value of the smallest subnormal")
        fix_after_torch(reexec_pinned())


def _match_text(found: dict[str, Any]) -> str:
    n_a, n_b = found["latents"]
    matched = (
        f"matched cosine: mean {found['matched_mean']:.4f}, median {found['matched_median']:.4f}"
    )
    if found["chance"] is not None:
        matched += f" (best of unrelated latents: {found['chance']:.4f})"
    above = f"latents above {found['threshold']:g}: {found['shared_decoder_only']:.1%} by decoder"
    lines = [f"{n_a:,} latents with {n_b:,} of width {found['width']:,}", matched, above]
    if any(found["without_direction"]):
        a, b = found["without_direction"]
        lines.insert(1, f"left out for want of a direction: {a:,} and {b:,} latents")
    if found["shared"] is not None:
        lines[-1] += f", {found['shared']:.1%} by decoder and encoder (shared)"
        lines.append(f"same partner by decoder and encoder (agreeing): {found['agreeing']:.1%}")
    lines.append(f"total {found['total']:.6f}, proven within {found['bound']:.1e} of the largest")
    return "\n".join(lines)


def _chance_text(found: dict[str, Any]) -> str:
    lines = [f"best cosine with {found['latents']:,} unrelated latents of width {found['width']:,}"]
    for kind in KINDS:
        if level := found.get(kind):
            lines.append(
                f"{kind}: mean {level['mean']:.4f}, standard deviation {level['std']:.4f}, "
                f"95% below {level['quantile95']:.4f}"
            )
    probability = found["reproducibility"]
    lines.append(f"probability that one reaches {found['threshold']:g}: {probability:.3g}")
    return "\n".join(lines)


def _refuse(mistake: str) -> int:
    print(f"error: {mistake}", file=sys.stderr)
    return MISUSE


def _usage_mistake(mistake: Any, typed: Sequence[str]) -> str:
    """What typer says of a mistake, in our form: what, where, what would be right."""
    context = mistake.ctx
    where = context.command_path if context else " ".join([NAME, *typed[:1]])
    # The classes' names have stayed the same; where they lie has not.
    kind = type(mistake).__name__
    if kind == "NoSuchOption" and context:
        options = [name for each in context.command.params for name in each.opts if name[:1] == "-"]
        near = _nearest(mistake.option_name, options)
        return f"{where} has no option {mistake.option_name}; {near}"
    if kind == "MissingParameter" and mistake.param:
        name, help = mistake.param.opts[0], mistake.param.help
        name = name if name[:1] == "-" else mistake.param.metavar
        if help:  # older versions keep none for arguments
            return f"{where} needs {name}: {help[:1].lower()}{help[1:].rstrip('.')}"
        return f"{where} needs {name}; `{where} --help` says what it takes"
    said = mistake.format_message().splitlines()[0].rstrip(".")
    return f"{said[:1].lower()}{said[1:]}; `{where} --help` says what it takes"


def _nearest(word: str, names: Iterable[str]) -> str:
    names = list(names)
    near = get_close_matches(word, names)
    return f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(names)}"
