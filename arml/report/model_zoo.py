"""The model zoo: what each shipped config reached, from the ledgers of its runs; nothing of it is typed."""

import os
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from tabulate import tabulate

from arml.report.labels import config_title, markdown_escape
from arml.report.paper_tables import paper_source
from arml.report.result import MEANS
from arml.report.rows import find_row
from arml.report.scores_table import spread
from arml.report.stats import summarise

#: Where ARML's own configs begin, which are those that its paper is of.
ARML = 'configs/arml_'
#: A segmentor without pseudo masks learns from dense ones.
SEGMENTOR, PSEUDO_MASKS = 'segmentor', 'pseudo_masks'
LICENSE = 'Apache-2.0'


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
        """What its file is called in tables."""
        return config_title(self.config)

    @property
    def seeds(self) -> list[Any]:
        """Its seeds, ascending."""
        return sorted(row['seed'] for row in self.rows)

    @property
    def commits(self) -> list[str]:
        """The commits that it was made at."""
        return sorted({str(row.get('commit', 'unknown'))[:7] for row in self.rows})

    @property
    def is_dense(self) -> bool:
        """Whether it learns from dense masks: an upper bound of the others."""
        stages = self.rows[0]['stages']
        return SEGMENTOR in stages and PSEUDO_MASKS not in stages

    def scores(self, row: str, name: str) -> list[float]:
        """A score of a line of its runs' tables; empty where they have none."""
        found = [find_row(each['rows'], row) for each in self.rows]
        values = [line['metrics'].get(name) for line in found if line is not None]
        return [float(value) for value in values if value is not None]


def models_of(lines: Iterable[Mapping[str, Any]]) -> list[Model]:
    """The models of some lines, one a config and data set.

    Args:
        lines: Finished lines of ledgers that are of shipped configs as they are, one a config and seed
            (:func:`arml.ablation.shipped_lines`).
    """
    found: dict[tuple[str, str], dict[Any, Mapping[str, Any]]] = {}
    for line in lines:
        found.setdefault((line['dataset'], line['config_file']), {})[line['seed']] = line
    models = []
    for (dataset, config), by_seed in sorted(found.items()):
        rows = [by_seed[seed] for seed in sorted(by_seed)]
        models.append(Model(config, rows[-1].get('title') or rows[-1]['config'], dataset, rows))
    return models


def zoo_page(models: Sequence[Model], command: str, folder: str | os.PathLike = 'docs') -> str:
    """The page of the zoo in Markdown.

    Args:
        models: From :func:`models_of`.
        command: What writes it.
        folder: Where the page will lie; its links to configs start there.
    """
    head = (
        'method', 'config', 'learns from', 'mIoU of its maps', 'mIoU', 'Dice', 'ACC', 'seeds', 'commit',
    )  # fmt: skip
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
                f'[`{model.name}.py`]({Path(os.path.relpath(model.config, folder)).as_posix()})',
                'dense masks' if model.is_dense else 'image labels',
                _score(model, 'maps', 'mIoU'),
                *(_score(model, 'segmentor', name) for name in MEANS),
                ', '.join(map(str, model.seeds)),
                ', '.join(model.commits),
            ]
            for model in models
            if model.dataset == dataset
        ]
        align = (*['left'] * 3, *['right'] * 4, 'left', 'left')
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
            'License': LICENSE,
            'Metadata': {'Training Data': sorted({m.dataset for m in found})},
            **({'Paper': _paper()} if all(m.config.startswith(ARML) for m in found) else {}),
            'README': 'docs/model_zoo.md',
            'Frameworks': ['PyTorch'],
        }
        for title in dict.fromkeys(model.title for model in models)
        for found in [[model for model in models if model.title == title]]
    ]
    listed = [
        {
            'Name': model.name,
            'In Collection': model.title,
            'Config': model.config,
            'Metadata': {
                'Training Data': model.dataset,
                'Supervision': 'dense masks' if model.is_dense else 'image labels',
                'Protocol': 'A',
                'Seeds': [str(seed) for seed in model.seeds],
                'Commits': model.commits,
            },
            'Results': [
                {
                    'Task': f'{"" if model.is_dense else "Weakly Supervised "}Semantic Segmentation',
                    'Dataset': model.dataset,
                    'Metrics': _metrics(model),
                }
            ],
            'Framework': 'PyTorch',
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


def _metrics(model: Model) -> dict[str, float]:
    """Means and standard deviations over the seeds; those of maps say so."""
    found = {}
    for row, of in (('segmentor', ''), ('maps', ' of its maps')):
        for name in MEANS:
            values = model.scores(row, name)
            if values:
                found[f'{name}{of}'] = round(statistics.fmean(values), 2)
            if len(values) > 1:
                found[f'{name}{of}, standard deviation'] = round(statistics.stdev(values), 2)
    return found


def _paper() -> dict[str, str]:
    source = paper_source()
    return {'Title': source['title'], 'URL': source['url']}


def _score(model: Model, row: str, name: str) -> str:
    values = model.scores(row, name)
    return spread(summarise(values, len(values))) if values else '–'
