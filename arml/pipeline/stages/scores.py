"""Scores of the pseudo masks against dense masks, apart from the masks themselves."""

import copy
import json
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process

from arml.atomic import write_json
from arml.errors import ConfigError, DataError
from arml.pipeline.data import dense_fingerprint
from arml.pipeline.examples import copy_example
from arml.pipeline.messages import say
from arml.pipeline.stage import ROW, Context, Outcome, Stage
from arml.pipeline.store import Product
from arml.pseudo.generate import score_masks
from arml.registry import DATASETS, STAGES


@STAGES.register_module()
class MaskScoreStage(Stage):
    """Score pseudo masks against the dense masks of their split, where it has any; else no line.

    It is a stage of its own so that dense masks, which no weak method may read, have no part in the
    key of the masks nor of what is trained on them. Faulty ones cost this line of the table, no more.

    Args:
        masks_section: Section of the config whose ``dataloader.dataset`` names the tiles.
        **kwargs: As of :class:`~arml.pipeline.stage.Stage`; each of ``inputs`` is a folder of masks,
            its role the name of its line where there are several.

    Raises:
        ConfigError: If it takes no masks.
    """

    seeded = False  # nothing is drawn

    def __init__(self, *args: Any, masks_section: str = 'pseudo_masks', **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.masks_section = masks_section
        if not self.inputs:
            raise ConfigError(
                f'pipeline stage {self.name}: inputs names no masks, expected for example '
                "inputs=dict(final='pseudo_masks/final')."
            )

    @classmethod
    def reads(cls, entry: dict[str, Any]) -> set[str | None]:
        """The section that names the tiles."""
        return {entry.get('masks_section', 'pseudo_masks')}

    def settings(self) -> dict[str, Any]:
        """Which tiles; how they are loaded does not matter."""
        settings = copy.deepcopy(dict(self.config[self.masks_section]['dataloader']['dataset']))
        for key in ('pipeline', 'augmentation', 'masks', 'seed'):
            settings.pop(key, None)
        return {'dataset': settings}

    def fingerprints(self) -> dict[str, str | None]:
        """Of the dense masks; None without them. The tiles are in the key of the masks."""
        settings = self.settings()['dataset']
        return {'dense': dense_fingerprint(settings, self.fingerprint_cache)}

    def items(self) -> list[str]:
        """The scores. There are ``examples`` too, of truths, where there are dense masks."""
        return ['scores']

    def run(self, context: Context) -> Outcome:
        """Score, and keep the truths of the tiles that the masks' stage keeps for the picture."""
        dataset = DATASETS.build({**self.settings()['dataset'], 'pipeline': []})
        folders = {
            role: self.input_path(source, context.inputs) for role, source in self.inputs.items()
        }
        items, notes, scores = {'scores': 'scores.json'}, {}, {}
        if is_main_process():
            try:
                scores = score_masks(dataset, folders)
            except DataError as error:
                notes['not_scored'] = str(error)
                say(f'{self.name}: no scores of the pseudo masks: {error}')
            write_json(context.folder / 'scores.json', scores)
            source = next(iter(self.inputs.values())).split('/')[0]
            if scores and self._keep_truths(
                dataset.paths().masks, context.inputs[source], context.folder
            ):
                items['examples'] = 'examples'
        rows = [
            {
                'name': ROW if len(scores) == 1 else f'{ROW} ({name})',
                'split': dataset.split,
                'metrics': metrics,
            }
            for name, metrics in scores.items()
        ]
        return Outcome(items=items, rows=rows, notes=notes)

    @staticmethod
    def _keep_truths(truths: Path | None, masks: Product, folder: Path) -> bool:
        """Write tile and truth of the tiles that the masks' product keeps; tell whether there are all."""
        if truths is None or 'examples' not in masks.record['items']:
            return False
        examples = masks.path('examples')
        stems = json.loads((examples / 'examples.json').read_text())
        if not all((truths / f'{stem}.png').is_file() for stem in stems):
            return False
        for stem in stems:
            copy_example(examples / f'{stem}.tile.png', folder / 'examples' / f'{stem}.tile.png')
            copy_example(truths / f'{stem}.png', folder / 'examples' / f'{stem}.truth.png')
        write_json(folder / 'examples' / 'examples.json', stems)
        return True
