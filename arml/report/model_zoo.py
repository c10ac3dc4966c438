"""The model zoo: what each shipped config reached, from the ledgers of its runs; nothing of it is typed."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from tabulate import tabulate

from arml.report.labels import markdown_escape
from arml.report.paper_tables import paper_source
from arml.report.result import newest_by_run
from arml.report.rows import find_row
from arml.report.scores_table import spread
from arml.report.stats import summarise
from arml.report.sweep_cells import SEED

#: Parameters that choose a config or a seed of it. A run with others is an ablation, not a model of the zoo.
CHOOSING = frozenset({SEED, 'method'})
#: Options that say where things are.
PLACES = ('data_root=', 'store=')
#: Where ARML's own configs begin, which are those that its paper is of.
ARML = 'configs/arml_'


@dataclass(frozen=True)
class Model:
    """A config and what it reached on a data set.

    Attributes:
        config: Path of its file, from the root of the repository.
        title: Name of its method.
        dataset: Name of the data set.
        rows: Finished lines of ledgers, one a seed.
    """

    config: str
    title: str
    dataset: str
    rows: Sequence[Mapping[str, Any]]

    @property
    def name(self) -> str:
        """Path of its file below ``configs``, without the ending: no two files have one."""
        return self.config.removeprefix('configs/').removesuffix('.py')

    @property
    def seeds(self) -> list[Any]:
        """Its seeds, ascending."""
        return sorted(row['seed'] for row in self.rows)

    @property
    def commits(self) -> list[str]:
        """The commits that it was made at."""
        return sorted({str(row.get('commit', 'unknown'))[:7] for row in self.rows})

    def scores(self, row: str, name: str) -> list[float]:
        """A score of a line of its runs' tables; empty where they have none."""
        found = [find_row(each['rows'], row) for each in self.rows]
        values = [line['metrics'].get(name) for line in found if line is not None]
        return [float(value) for value in values if value is not None]


def models_of(lines: Iterable[Mapping[str, Any]]) -> list[Model]:
    """The models of some ledgers: configs as they are shipped, run with one or more seeds.

    Args:
        lines: Of all ledgers, oldest first. Lines of before the file of the config stood in them, ablations, and
            runs with other options than places are left out.
    """
    found: dict[tuple[str, str], dict[Any, Mapping[str, Any]]] = {}
    for line in newest_by_run(lines).values():
        shipped = line.get('config_file') and set(line.get('parameters') or {}) <= CHOOSING
        placed = all(str(option).startswith(PLACES) for option in line.get('fixed') or ())
        if line['status'] == 'finished' and shipped and placed:
            found.setdefault((line['dataset'], line['config_file']), {})[line['seed']] = line
    models = []
    for (dataset, config), by_seed in sorted(found.items()):
        rows = [by_seed[seed] for seed in sorted(by_seed)]
        models.append(Model(config, rows[-1].get('title') or rows[-1]['config'], dataset, rows))
    return models


def zoo_page(models: Sequence[Model], command: str) -> str:
    """The page of the zoo in Markdown.

    Args:
        models: From :func:`models_of`.
        command: What writes it.
    """
    head = ('method', 'config', 'mIoU of its maps', 'mIoU', 'Dice', 'ACC', 'seeds', 'commit')
    parts = [
        '# Model zoo',
        'Every shipped config that has been run as it is, from the ledgers of its runs: test split, protocol A, '
        'percent, mean ± standard deviation over the seeds. Weights are not published: `python tools/train.py CONFIG '
        '--cfg-options randomness.seed=SEED` makes them, and what a run needs to be repeated stands in its '
        '`environment.json`. What the figures can and cannot say: [results](results.md).',
    ]
    for dataset in dict.fromkeys(model.dataset for model in models):
        rows = [
            [
                markdown_escape(model.title),
                f'[`{model.name}.py`](../{model.config})',
                _score(model, 'maps', 'mIoU'),
                *(_score(model, 'segmentor', name) for name in ('mIoU', 'mDice', 'ACC')),
                ', '.join(map(str, model.seeds)),
                ', '.join(model.commits),
            ]
            for model in models
            if model.dataset == dataset
        ]
        align = ('left', 'left', *['right'] * 4, 'left', 'left')
        table = tabulate(rows, head, tablefmt='pipe', colalign=align, disable_numparse=True)
        parts.append(f'## {markdown_escape(dataset)}\n\n{table}')
    return '\n\n'.join([*parts, f'Written by `{command}`; do not edit.']) + '\n'


def metafile(models: Sequence[Model], command: str) -> str:
    """The index of models in OpenMMLab's form (``metafile.yml``).

    Args:
        models: From :func:`models_of`.
        command: What writes it.
    """
    collections = [
        {
            'Name': title,
            'Metadata': {'Training Data': sorted({m.dataset for m in found})},
            **({'Paper': _paper()} if all(m.config.startswith(ARML) for m in found) else {}),
            'README': 'docs/model_zoo.md',
            'Framework': 'PyTorch',
        }
        for title in dict.fromkeys(model.title for model in models)
        for found in [[model for model in models if model.title == title]]
    ]
    listed = [
        {
            'Name': model.name,
            'In Collection': model.title,
            'Config': model.config,
            'Metadata': {'Seeds': model.seeds, 'Commits': model.commits},
            'Results': [
                {
                    'Task': 'Weakly Supervised Semantic Segmentation',
                    'Dataset': model.dataset,
                    'Metrics': {
                        name: round(statistics.fmean(values), 2)
                        for name in ('mIoU', 'mDice', 'ACC')
                        if (values := model.scores('segmentor', name) or model.scores('maps', name))
                    },
                }
            ],
        }
        for model in models
    ]
    text = yaml.safe_dump(
        {'Collections': collections, 'Models': listed},
        sort_keys=False,
        allow_unicode=True,
        width=120,
    )
    return f'# Written by {command}; do not edit.\n{text}'


def _paper() -> dict[str, str]:
    source = paper_source()
    return {'Title': source['title'], 'URL': source['url']}


def _score(model: Model, row: str, name: str) -> str:
    values = model.scores(row, name)
    return spread(summarise(values, len(values))) if values else '–'
