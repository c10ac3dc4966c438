"""How a report reads its sweeps."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ReportOptions:
    """What a user may choose of a report.

    Attributes:
        row: Line of the runs' own tables that is compared.
        metric: Score that is tested and drawn, without the protocol's prefix.
        protocol: ``'A'`` or ``'B'``.
        test: Key of :data:`arml.report.stats.TESTS`.
        correction: What a dagger means: ``'holm'`` or ``'none'``.
        comparators: Names of lines to test against; a sweep takes the one that it has.
        paper_n: Runs behind the paper's rows with a spread, as the user says; None: not tested.
        tiles: Whether a picture may show tiles of the data.
    """

    row: str = 'ARML'
    metric: str = 'mIoU'
    protocol: str = 'A'
    test: str = 'welch'
    correction: str = 'holm'
    comparators: tuple[str, ...] = ()
    paper_n: int | None = None
    tiles: bool = True
