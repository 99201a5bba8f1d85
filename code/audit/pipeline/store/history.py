"""What the store knows of earlier runs of a stage, to explain it and to expect its cost."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from audit.pipeline.graph.keys import Key
from audit.pipeline.graph.stage import Stage
from audit.pipeline.store.store import Entry, Store


class History:
    """The store's entries by the name of the stage that made them."""

    def __init__(self, store: Store, known_seconds: Mapping[str, float] | None = None):
        """Read the beginning of every file once.

        Args:
            store: where earlier results lie.
            known_seconds: wall time by stage, from elsewhere (the locked run's provenance); used
                for stages that the store knows nothing of.
        """
        self._known_seconds = dict(known_seconds or {})
        self._runs: dict[str, list[Entry]] = defaultdict(list)
        for entry in store.entries():
            self._runs[entry.provenance.stage].append(entry)

    def nearest(self, stage: str, key: Key) -> Entry | None:
        """The newest earlier result of this stage among those with the fewest other settings.

        The profiles' stages share their names; this tells them apart.
        """

        def order(entry: Entry) -> tuple[int, str]:
            return (-len(entry.key.settings.items() ^ key.settings.items()), entry.provenance.date)

        return max(self._runs.get(stage, ()), key=order, default=None)

    def seconds(self, stage: Stage, key: Key) -> float | None:
        """What a run of the stage may be expected to take, or nothing if it never ran.

        An earlier run with the same settings says most; then the locked run, which had this
        profile's; then a run with other settings.
        """
        earlier, known = self.nearest(stage.name, key), self._known_seconds.get(stage.name)
        if earlier is not None and (known is None or earlier.key.settings == key.settings):
            return earlier.provenance.seconds
        return known

    def expected_seconds(
        self, stages: Iterable[Stage], keys: Mapping[str, Key]
    ) -> dict[str, float]:
        """The same for several, by name; what never ran is taken for the mean of the others."""
        stages = list(stages)
        known = {stage.name: self.seconds(stage, keys[stage.name]) for stage in stages}
        numbers = [seconds for seconds in known.values() if seconds is not None]
        typical = sum(numbers) / len(numbers) if numbers else 10.0
        return {name: typical if seconds is None else seconds for name, seconds in known.items()}
