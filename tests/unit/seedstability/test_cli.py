"""The library's command line: arguments in any order, mistakes in one line, status 2."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import seedstability
from helpers.command_line import run
from helpers.comparison_data import activations, normal, planted, sae, schema_errors
from helpers.repository import CODE, ROOT
from seedstability.cli import REPORT, main
from seedstability.dictionaries.formats.folder import load, save
from seedstability.report.report import FILES
from seedstability.stability.chance.closed_form import chance_level, chance_reproducibility
from seedstability.stability.matching.match import match


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "seedstability", *words]


def compare(*words: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess:
    return run(command("compare", *words), cwd, PYTHONPATH=str(CODE), **environment)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Three dictionaries, their starts, and activations."""
    place = tmp_path_factory.mktemp("own")
    for seed, each in enumerate(planted(3, n=32, d=8, shared=8)):
        save(each, place / f"seed{seed}")
        save(sae(normal(32, 8, seed=40 + seed)), place / f"start{seed}")
    np.save(place / "x.npy", activations(500, 8).numpy())
    return place


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_folders_stand_before_between_and_after_options(folders, tmp_path):
    here = tmp_path / "here"
    here.mkdir()
    own = os.path.relpath(folders, here)
    one, other = tmp_path / "one", tmp_path / "other"
    ran = compare(
        *(f"{own}/seed0", "--activations", f"{own}/x.npy", f"{own}/seed1", "--all-pairs"),
        *(f"--out={one}", "--initial", ",".join(f"{own}/start{seed}" for seed in range(3))),
        *("--threshold", "0.8", f"{own}/seed2"),
        cwd=here,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    lines = ran.stdout.splitlines()
    assert lines[0].endswith("would by chance.")
    assert lines[-3:] == [str(one / name) for name in FILES]
    document = json.loads((one / "report.json").read_text("utf-8"))
    assert schema_errors(document) == []
    assert [each["folder"] for each in document["inputs"]["dictionaries"]] == [
        f"{own}/seed{seed}" for seed in range(3)
    ]
    assert document["settings"]["threshold"] == 0.8
    assert document["software"]["numeric_abi"]["device"] == "cpu"
    assert document["measures"]["full"]["max_cosine"]["chance"]["untrained"] is not None

    # Another environment, more threads: the same bytes.
    again = compare(
        *(f"{own}/seed0", f"{own}/seed1", f"{own}/seed2", "--all-pairs", "--threshold=0.8"),
        *("--activations", f"{own}/x.npy", "--out", str(other)),
        *("--initial", ",".join(f"{own}/start{seed}" for seed in range(3))),
        cwd=here,
        OMP_NUM_THREADS="2",
        MKL_CBWR="COMPATIBLE",
    )
    assert again.returncode == 0, again.stderr
    for name in FILES:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


def test_the_report_goes_to_a_folder_of_its_own_unless_told_otherwise(folders, tmp_path):
    ran = compare(str(folders / "seed0"), str(folders / "seed1"), cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert names(tmp_path) == {REPORT}
    assert names(tmp_path / REPORT) == set(FILES)
    again = compare(str(folders / "seed0"), str(folders / "seed2"), cwd=tmp_path)
    assert again.returncode == 0, again.stderr


def test_a_report_may_go_where_one_stands(folders, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert main(["compare", str(folders / "seed0"), str(folders / "seed1"), "--out", "."]) == 0
        assert sorted(os.listdir()) == sorted(FILES)


def test_two_groups_are_given_as_a_shell_expands_them(folders, tmp_path):
    out = str(tmp_path / "out")
    groups = [str(folders / f"{kind}{seed}") for kind in ("seed", "start") for seed in range(2)]
    assert main(["compare", *groups[:2], "--against", *groups[2:], "--out", out]) == 0
    document = json.loads((tmp_path / "out" / "report.json").read_text("utf-8"))
    assert document["groups"]["of"] == [0, 0, 1, 1]
    given = [each["folder"] for each in document["inputs"]["dictionaries"]]
    assert given == groups
    assert main(["compare", "--against", *groups[2:], "--out", out, *groups[:2]]) == 0
    document = json.loads((tmp_path / "out" / "report.json").read_text("utf-8"))
    assert [each["folder"] for each in document["inputs"]["dictionaries"]] == groups


def test_against_without_folders_is_refused(folders, tmp_path, capsys):
    words = [str(folders / "seed0"), str(folders / "seed1"), "--out", str(tmp_path), "--against"]
    assert "--against" in refused(capsys, "compare", *words)


def test_checkpoints_over_time_are_named_by_their_steps(folders, tmp_path, capsys):
    for seed, step in ((0, 200), (1, 10)):
        shutil.copytree(folders / f"seed{seed}", tmp_path / f"step_{step}")
    given = [str(tmp_path / f"step_{step}") for step in (200, 10)]
    assert main(["compare", *given, "--over-time", "--out", str(tmp_path / "out")]) == 0
    assert "From step 10 to step 200" in capsys.readouterr().out


def test_decoders_of_files_are_compared_alone(folders, tmp_path, capsys):
    given = []
    for seed in range(2):
        given.append(str(tmp_path / f"{seed}.npy"))
        np.save(given[-1], load(folders / f"seed{seed}").decoder.numpy())
    assert "decoder of" in refused(capsys, "compare", *given, "--out", str(tmp_path / "out"))
    assert main(["compare", *given, "--decoders-only", "--out", str(tmp_path / "out")]) == 0
    assert names(tmp_path / "out") == set(FILES)


def test_a_report_is_summarized_in_either_language(folders, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["compare", str(folders / "seed0"), str(folders / "seed1"), "--out", str(out)]) == 0
    capsys.readouterr()
    assert main(["summarize", str(out)]) == 0
    assert capsys.readouterr().out.startswith("| measure | value |")
    assert main(["summarize", str(out / "report.json"), "--to", "latex"]) == 0
    assert r"\begin{tabular}" in capsys.readouterr().out
    (out / "report.json").write_text('{"schema": "other"}')
    assert "has schema 'other'" in refused(capsys, "summarize", str(out))
    (out / "report.json").write_text("{")
    assert "is not JSON" in refused(capsys, "summarize", str(out))
    assert "cannot be read" in refused(capsys, "summarize", str(tmp_path / "none"))


def test_an_aligned_checkpoint_has_its_latents_beside_their_partners(folders, tmp_path):
    one, other = (load(folders / f"seed{seed}") for seed in range(2))
    target = tmp_path / "aligned"
    words = [str(folders / "seed0"), str(folders / "seed1"), "--out", str(target)]
    assert main(["align", *words, "--to", "saelens"]) == 0
    found = load(target)
    together = torch.cosine_similarity(one.decoder, found.decoder)
    torch.testing.assert_close(together, match(one.decoder, other.decoder).cosine)


def test_folders_may_have_names_that_are_not_utf_8(folders, tmp_path):
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")
    shutil.copytree(folders, odd)
    ran = compare("seed0", "seed1", "--out", f"{odd}/out", cwd=Path(odd), PYTHONIOENCODING="ascii")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert names(Path(odd, "out")) == set(FILES)
    ran = compare(f"{odd}/seed0", f"{odd}/seed1", "--out", "out", cwd=tmp_path)
    assert (ran.returncode, ran.stderr.count("\n")) == (2, 1)  # safetensors opens no such path
    assert "UTF-8" in ran.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "0 dictionaries given"),
        (("seed0",), "at least 2 folders"),
        (("seed0", "seed1", "seed0"), "seed0 is the same dictionary as seed0"),
        (("seed0", "nowhere"), "nowhere is not a"),
        (("seed0", "."), "contains no SAE"),
        (("seed0", "seed1", "--threshold", "high"), "threshold is 'high'; it must be a number"),
        (("seed0", "seed1", "--threshold", "0,7"), "it must be a number, such as 0.7"),
        (("seed0", "seed1", "--threshold", "1.5"), "it must lie between 0 and 1"),
        (("seed0", "seed1", "--initial", "start0"), "1 initial dictionaries given for 2"),
        (("seed0", "seed1", "--activations", "y.npy"), "y.npy is not a file"),
        (("seed0", "seed1", "--out", "seed2"), "seed2 holds other files than a report"),
    ],
)
def test_a_mistake_in_compare_is_one_line_and_nothing_is_written(
    words, said, folders, tmp_path, capsys
):
    before = names(folders)
    known = {"seed0", "seed1", "seed2", "start0", "nowhere", "y.npy", "."}
    out = () if "--out" in words else ("--out", str(tmp_path / "out"))
    placed = [str(folders / word) if word in known else word for word in words]
    assert said in refused(capsys, "compare", *placed, *out).replace(f"{folders}/", "")
    assert names(folders) == before
    assert names(tmp_path) == set()


def refused(capsys, *words: str) -> str:
    """The one line that these words get."""
    assert main(words) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1
    return printed.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("comapre", "a", "b"), "no command is called 'comapre'; did you mean compare?"),
        (("zzz",), "there are compare, match, align, summarize, chance, convert"),
        (("--versio",), "seedstability has no option --versio; did you mean --version?"),
        (
            ("compare", "a", "--treshold", "1"),
            "compare has no option --treshold; did you mean --th",
        ),
        (("match", "a", "b", "--qqq"), "match has no option --qqq; there are --threshold, --json"),
        (("match", "a"), "match needs B: another SAE's folder, or a file"),
        (("match", "a", "b", "c"), "(c); `seedstability match --help` says what it takes"),
        (("chance", "--width", "8"), "chance needs --latents: "),
        (
            ("chance", "--latents"),
            "'--latents' requires an argument; `seedstability chance --help`",
        ),
        (
            ("chance", "--latents", "8", "--width", "8", "--json=1"),
            "'--json' does not take a value",
        ),
        (("chance", "--latents", "0", "--width", "8"), "latents is '0'; it must be a whole number"),
        (("chance", "--latents", "1e3", "--width", "8"), "latents is '1e3'; it must be a whole"),
        (
            ("chance", "--latents", "8", "--width", "1"),
            "width is '1'; it must be a whole number of",
        ),
        (
            ("chance", "--latents", "8", "--width", "8", "--kind", "max"),
            "one of max_cosine, max_abs",
        ),
        (("chance", "--latents", "8", "--width", "8", "--threshold", "2"), "between -1 and 1"),
        (("convert", "a", "b"), "convert needs --to: seedstability, saelens or sparsify"),
        (("convert", "nowhere", "b", "--to", "saelens"), "nowhere is not a readable folder"),
    ],
)
def test_a_mistake_in_the_words_is_one_line_with_what_would_be_right(words, said, capsys):
    assert said in refused(capsys, *words)


def test_match_prints_the_assignment_and_its_certificate(folders, capsys):
    pair = str(folders / "seed0"), str(folders / "seed1")
    assert main(["match", *pair]) == 0
    text = capsys.readouterr().out
    assert text.startswith("32 latents with 32 of width 8\n")
    assert "of the largest" in text

    assert main(["match", *pair, "--json", "--threshold", "0.9"]) == 0
    found = json.loads(capsys.readouterr().out)
    A, B = (load(folder) for folder in pair)
    expected = match(A.decoder, B.decoder)
    assert found["latents"] == [32, 32]
    assert found["total"] == expected.total
    assert found["bound"] == expected.bound < 1e-9
    assert found["matched_mean"] == pytest.approx(expected.total / 32)
    # encoders equal decoders in these SAEs, so both assignments are one
    assert found["agreeing"] == 1.0
    assert found["shared"] == found["shared_decoder_only"] >= 8 / 32
    assert found["chance"] == chance_level(32, 8, "max_cosine")


def test_match_takes_a_decoder_alone_from_a_file(folders, tmp_path, capsys):
    decoder = load(folders / "seed0").decoder
    np.save(tmp_path / "a.npy", decoder.numpy()[::-1].copy())
    save_file({"W_dec": decoder[:20].contiguous()}, tmp_path / "b.safetensors")
    assert main(["match", str(tmp_path / "a.npy"), str(tmp_path / "b.safetensors"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["latents"] == [32, 20]
    assert found["matched_mean"] == pytest.approx(1.0, abs=1e-6)
    assert found["shared_decoder_only"] == 20 / 32
    assert found["shared"] is found["agreeing"] is None


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.zeros((3, 4), int), "is int64[3, 4]; a decoder is float32[latents, width]"),
        (np.zeros(4, "f4"), "is float32[4]"),
        (np.zeros((0, 4), "f4"), "is float32[0, 4]"),
        (np.full((3, 4), np.nan, "f4"), "the array is not finite at [0, 0]"),
        (np.ones((3, 5), "f4"), "width 5 with one of width 8"),
        (np.array([object()]), "cannot be read as one matrix"),
    ],
)
def test_match_refuses_a_file_that_is_no_decoder(values, said, folders, tmp_path, capsys):
    np.save(tmp_path / "a.npy", values)
    assert said in refused(capsys, "match", str(tmp_path / "a.npy"), str(folders / "seed0"))


def test_match_refuses_a_file_of_several_tensors(folders, tmp_path, capsys):
    save_file({name: activations(3, 8) for name in "ab"}, tmp_path / "a.safetensors")
    said = refused(capsys, "match", str(tmp_path / "a.safetensors"), str(folders / "seed0"))
    assert "holds 2 tensors (a, b); a decoder is the only one" in said


def test_chance_prints_the_closed_forms(capsys):
    assert main(["chance", "--latents", "1024", "--width", "128"]) == 0
    text = capsys.readouterr().out
    assert "max_abs_cosine: mean 0.2988" in text
    assert "max_cosine: mean 0.2827" in text

    words = ("chance", "--latents", "1024", "--width", "128", "--kind", "max_cosine", "--json")
    assert main(words) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"latents", "width", "max_cosine", "threshold", "reproducibility"}
    assert found["max_cosine"]["mean"] == chance_level(1024, 128, "max_cosine")
    assert found["reproducibility"] == chance_reproducibility(1024, 128, 0.7)


@pytest.mark.parametrize("to", ["seedstability", "saelens", "sparsify"])
def test_convert_keeps_what_the_sae_reconstructs(to, folders, tmp_path, capsys):
    source, target = folders / "seed0", tmp_path / "new"
    assert main(["convert", str(source), str(target), "--to", to]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"seedstability to {to}: topk, 32 latents of width 8"
    assert lines[1:] == [str(path) for path in sorted(target.iterdir())]
    x = activations(20, 8)
    assert torch.equal(load(target).reconstruct(x), load(source).reconstruct(x))


def test_convert_overwrites_nothing(folders, capsys):
    before = {path.name: path.read_bytes() for path in (folders / "seed1").iterdir()}
    said = refused(
        capsys, "convert", *(str(folders / f"seed{i}") for i in (0, 1)), "--to", "saelens"
    )
    assert "save an SAE to a new or empty folder" in said
    assert {path.name: path.read_bytes() for path in (folders / "seed1").iterdir()} == before


def test_convert_names_the_formats_that_can_be_written(folders, tmp_path, capsys):
    said = refused(capsys, "convert", str(folders / "seed0"), str(tmp_path / "x"), "--to", "gguf")
    assert "format is 'gguf'; it must be one of seedstability, saelens, sparsify" in said
    assert names(tmp_path) == set()


def test_every_command_and_option_explains_itself(capsys):
    assert main([]) == 0
    listed = capsys.readouterr().out
    assert main(["--help"]) == 0
    assert capsys.readouterr().out == listed
    for each in ("compare", "match", "chance", "convert"):
        assert f"\n  {each} " in listed
        assert main([each, "--help"]) == 0
    told = capsys.readouterr().out
    for flag in ("--activations", "--initial", "--out", "--threshold", "--all-pairs", "--to"):
        assert flag in told


def test_the_version_is_printed(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"{seedstability.__version__}\n"


def test_help_and_chance_load_no_torch():
    for words in (["--help"], ["chance", "--latents", "8", "--width", "8"]):
        code = f"import sys; from seedstability.cli import main; main({words});"
        code += "print(sorted({'torch', 'matplotlib', 'numba'} & set(sys.modules)))"
        environment = {**os.environ, "PYTHONPATH": str(CODE)}
        ran = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True
        )
        assert ran.stdout.splitlines()[-1] == "[]"


def test_a_notebooks_backend_for_matplotlib_does_not_matter(folders, tmp_path):
    ran = subprocess.run(
        command(
            "compare",
            str(folders / "seed0"),
            str(folders / "seed1"),
            "--out",
            str(tmp_path / "out"),
        ),
        env={
            **os.environ,
            "PYTHONPATH": str(CODE),
            "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        },
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "out" / "report.html").is_file()


def test_an_interrupt_leaves_nothing_half_written(tmp_path):
    places = []
    for seed, each in enumerate(planted(14, n=8192, d=64, shared=1000)):
        save(each, tmp_path / f"seed{seed}")
        places.append(str(tmp_path / f"seed{seed}"))
    before = names(tmp_path)
    running = subprocess.Popen(
        command("compare", *places, "--all-pairs", "--out", str(tmp_path / "out")),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(CODE)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A background job starts with SIGINT ignored, and its children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert running.stderr is not None
    # The cost comes before the work, and this work takes minutes.
    assert "matchings" in running.stderr.readline()
    time.sleep(2)
    running.send_signal(signal.SIGINT)
    said, complained = running.communicate(timeout=60)
    assert running.returncode == 130
    assert complained == "stopped; nothing was written\n"
    assert said == ""
    assert names(tmp_path) == before
