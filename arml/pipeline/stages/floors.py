"""The floors that every score is read against: a constant answer, and the colour of a pixel."""

from typing import Any

from arml.atomic import write_json
from arml.errors import ConfigError
from arml.evaluation.floors import colour_floor, constant_floor, tiles_of
from arml.pipeline.checks import explained
from arml.pipeline.data import data_fingerprint
from arml.pipeline.messages import say
from arml.pipeline.stage import Context, Outcome, Stage
from arml.registry import DATASETS, STAGES

SPLITS = ('train', 'val', 'test')
FLOORS = ('constant', 'colour')


@STAGES.register_module()
class FloorStage(Stage):
    """Score the floors on the test split.

    Args:
        floors: Which: ``constant`` and ``colour`` (learnt from image labels alone).
        **kwargs: As of :class:`~arml.pipeline.stage.Stage`.

    Raises:
        ConfigError: If ``floors`` names another, or the config has no test data at its top level.
    """

    seeded = False  # nothing is drawn

    def __init__(self, *args: Any, floors: tuple = FLOORS, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.floors = tuple(floors)
        if not set(self.floors) <= set(FLOORS):
            raise ConfigError(
                f'pipeline stage {self.name}.floors: found {floors!r}, expected some of {FLOORS}.'
            )
        if not isinstance(self.config.get('test_dataloader'), dict):
            raise ConfigError(f'pipeline stage {self.name}: test_dataloader is missing.')

    def check(self, continued: bool) -> None:
        """The data set can be built.

        Raises:
            ConfigError: If not.
        """
        with explained('test_dataloader.dataset'):
            DATASETS.build({**self._dataset('test'), 'lazy_init': True})

    def settings(self) -> dict[str, Any]:
        """Which floors, of which tiles."""
        dataset = dict(self.config.test_dataloader['dataset'])
        for key in ('split', 'masks', 'test_mode', 'pipeline', 'seed'):  # set for each split below
            dataset.pop(key, None)
        return {'floors': self.floors, 'dataset': dataset}

    def fingerprints(self) -> dict[str, str]:
        """Of all splits."""
        return {
            split: data_fingerprint(self._dataset(split), self.fingerprint_cache)
            for split in SPLITS
        }

    def items(self) -> list[str]:
        """The scores."""
        return ['floors']

    def run(self, context: Context) -> Outcome:
        """Fit and score."""
        datasets = {split: DATASETS.build(self._dataset(split)) for split in SPLITS}
        tiles = {split: tiles_of(dataset) for split, dataset in datasets.items()}
        classes = list(datasets['test'].metainfo['classes'])
        made = []
        if 'constant' in self.floors:
            made.append(constant_floor(tiles['val'], tiles['test'], classes))
        if 'colour' in self.floors:
            say(f'{self.name}: learning the colours of single pixels from image labels')
            made.append(colour_floor(tiles['train'], tiles['val'], tiles['test'], classes))
        rows = [
            {
                'name': f'floor: {floor.name}',
                'split': 'test',
                'choice': floor.choice,
                'metrics': floor.metrics(classes),
            }
            for floor in made
        ]
        write_json(context.folder / 'floors.json', rows)
        return Outcome(items={'floors': 'floors.json'}, rows=rows)

    def _dataset(self, split: str) -> dict[str, Any]:
        settings = dict(self.config.test_dataloader['dataset'])
        settings.update(split=split, pipeline=[], masks=None if split == 'train' else 'dense')
        settings['test_mode'] = split != 'train'
        return settings
