"""How a report reads its sweeps."""

from dataclasses import dataclass

from arml.report.rows import FINAL


@dataclass(frozen=True)
class ReportOptions:
    """What a user may choose of a report.

    Attributes:
        rows: Lines of the runs' own tables that are compared, by name or by what they are of; all runs have the
            first one.
        metric: Score that is tested and drawn, without the protocol's prefix.
        protocol: ``'A'`` or ``'B'``.
        test: Key of :data:`arml.report.stats.TESTS`.
        correction: What a dagger means: ``'holm'`` or ``'none'``.
        comparators: Names of lines to test against; a sweep takes the one that it has, else ``'best-other'`` if it is
            among them: the best method of each column is tested against the best of the others.
        paper_n: Runs behind the paper's rows with a spread, as the user says; None: not tested.
        tiles: Whether a picture may show tiles of the data.
        costs: What ``benchmark.py cost --out`` wrote; None: no table of costs.
    """

    rows: tuple[str, ...] = (FINAL,)
    metric: str = 'mIoU'
    protocol: str = 'A'
    test: str = 'welch'
    correction: str = 'holm'
    comparators: tuple[str, ...] = ()
    paper_n: int | None = None
    tiles: bool = True
    costs: str | None = None

    @property
    def row(self) -> str:
        """The first of :attr:`rows`."""
        return self.rows[0]
