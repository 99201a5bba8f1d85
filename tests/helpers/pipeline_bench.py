"""What the pipeline's tests share: a store, a package of toy stages, and a run of its own."""

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

from audit.pipeline.execution.display import Lines
from audit.pipeline.execution.run import Results, run
from audit.pipeline.graph.sources import Sources
from audit.pipeline.graph.stage import Stage
from audit.pipeline.store.store import Store
from seedstability.numerics.abi import NumericABI, numeric_abi

HERE = Path(__file__).parent
CODE = HERE.parents[1] / "code"
OTHER_ABI = NumericABI("GenuineIntel", "avx2", "2.0", "", "glibc 2.36", "cpu")

_DRIVER = """
import sys
from pathlib import Path
from helpers.pipeline_bench import Bench, Lines, counting
bench = Bench(Path(sys.argv[1]))
stages = counting(bench, seconds=float(sys.argv[2]))
results = bench.run(stages, jobs=int(sys.argv[3]), display=Lines())
print(len(results.ran))
"""


@dataclass
class Lists:
    """A stream that remembers."""

    text: list[str] = field(default_factory=list)

    def write(self, text: str) -> None:
        self.text.append(text)

    def flush(self) -> None:
        pass

    def __str__(self) -> str:
        return "".join(self.text)


class Bench:
    """A folder with a store, a journal, and the package `toys` whose `stages` one may edit."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.stages_file = folder / "toys" / "stages.py"
        self.journal_file = folder / "journal"
        self.told = Lists()
        if not self.stages_file.exists():
            self.stages_file.parent.mkdir(parents=True)
            (folder / "toys" / "__init__.py").write_text("")
            shutil.copy(HERE / "pipeline_stages.py", self.stages_file)
            shutil.copy(HERE / "pipeline_torch_stage.py", folder / "toys" / "torch_stage.py")
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
        for name in ("toys", "toys.stages"):  # another test's
            sys.modules.pop(name, None)
        from toys.stages import Settings

        self.settings = Settings(journal=str(self.journal_file))

    @property
    def store(self) -> Store:
        return Store(self.folder / "store", numeric_abi())

    @property
    def sources(self) -> Sources:
        return Sources(self.folder, ("toys",))

    @property
    def journal(self) -> list[str]:
        return self.journal_file.read_text().splitlines() if self.journal_file.exists() else []

    def stage(self, name: str, function: str = "count", inputs=None, **settings) -> Stage:
        config = replace(self.settings, **settings)
        module = "toys.torch_stage" if function in ("product", "integrate") else "toys.stages"
        return Stage(name, f"{module}:{function}", config, inputs or {})

    def run(self, stages, **options) -> Results:
        options = {"display": Lines(self.told), "sources": self.sources, "jobs": 2} | options
        return run(stages, self.store, **options)

    def edit(self, old: str, new: str) -> None:
        text = self.stages_file.read_text()
        assert old in text
        self.stages_file.write_text(text.replace(old, new))

    def apart(self, seconds: float, jobs: int = 1) -> subprocess.Popen:
        """The run of `counting` in a process of its own, with one of its own group."""
        path = os.pathsep.join([str(CODE), str(HERE.parent), str(self.folder)])
        return subprocess.Popen(
            [sys.executable, "-c", _DRIVER, str(self.folder), str(seconds), str(jobs)],
            env={**os.environ, "PYTHONPATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            # Tests run in the background ignore this signal, and children inherit that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )


def counting(bench: Bench, seconds: float) -> list[Stage]:
    """A quick stage, a slow one after it in the queue, and their sum."""
    quick = bench.stage("quick", size=2)
    # It says nothing while it runs, so that no broken pipe ends it when its parent is gone.
    slow = bench.stage("slow", size=5, seconds=seconds, tells=False)
    return [bench.stage("sum", "add", {"left": quick, "right": slow})]
