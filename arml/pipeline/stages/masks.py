"""Pseudo masks of the training tiles from a trained classifier."""

import copy
import time
from pathlib import Path
from typing import Any

from mmengine.dist import get_dist_info

from arml.atomic import write_json
from arml.config.sections import section_of
from arml.errors import ConfigError
from arml.pipeline.checks import build_on_meta, check_types, explained
from arml.pipeline.data import data_fingerprint
from arml.pipeline.examples import copy_example, evenly
from arml.pipeline.stage import Context, Outcome, Stage
from arml.pseudo.generate import extra_names, extras_of, generate
from arml.registry import DATASETS, MAPS, MASK_RULES, STAGES


@STAGES.register_module()
class MaskStage(Stage):
    """Make a mask of every training tile; its product holds one folder of PNGs a map name.

    Args:
        examples: Number of tiles, spread evenly over the split, kept for the picture.
        masks_section: Section of the config that says how (``maps``, ``rule``, ``dataloader``).
        **kwargs: As of :class:`~arml.pipeline.stage.Stage`; ``inputs['checkpoint']`` is the classifier.
    """

    tracked_as = 'masks'

    def __init__(
        self, *args: Any, masks_section: str = 'pseudo_masks', examples: int = 6, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples
        self.masks_section = masks_section

    @classmethod
    def reads(cls, entry: dict[str, Any]) -> set[str | None]:
        """The classifier's section, and the one that says how masks are made."""
        return {entry.get('section'), entry.get('masks_section', 'pseudo_masks')}

    def settings(self) -> dict[str, Any]:
        """How maps are computed and made into masks. The batch size does not matter."""
        settings = copy.deepcopy(dict(self.config[self.masks_section]))
        settings['dataset'] = settings.pop('dataloader')['dataset']
        return settings

    def fingerprints(self) -> dict[str, str]:
        """Of the tiles that get masks. Dense masks have no part in them: ``MaskScoreStage`` reads those."""
        settings = dict(self.config[self.masks_section]['dataloader']['dataset'])
        return {'tiles': data_fingerprint(settings, self.fingerprint_cache)}

    def items(self) -> list[str]:
        """A folder of masks a map name, one of arrays for each extra of the rule, and a few of them for the picture."""
        maps = self.config[self.masks_section]['maps']
        check_types(maps, f'{self.masks_section}.maps')
        with explained(f'{self.masks_section}.maps'):
            names = list(MAPS.build(copy.deepcopy(maps)).names)
        rule = self.config[self.masks_section]['rule']
        check_types(rule, f'{self.masks_section}.rule')
        with explained(f'{self.masks_section}.rule'):
            extras = extras_of(MASK_RULES.build(copy.deepcopy(rule)))
        return [*names, *extra_names(names, extras), 'examples']

    def check(self, continued: bool) -> None:
        """Maps and rule can be built, and the loader holds what is read.

        Raises:
            ConfigError: Names what is wrong.
        """
        path, settings = self.masks_section, self.config[self.masks_section]
        check_types(settings['rule'], f'{path}.rule')
        with explained(f'{path}.rule'):
            MASK_RULES.build(copy.deepcopy(settings['rule']))
        with explained(f'{path}.maps'):
            maps = MAPS.build(copy.deepcopy(settings['maps']))
        if hasattr(maps, 'check'):  # reads layers by name: a wrong one would show after stage 1
            model = section_of(self.config, self.section)['model']
            where = 'model' if self.section is None else f'{self.section}.model'
            maps.check(build_on_meta(model, where))
        known = {'batch_size', 'num_workers', 'dataset'}
        unread = [key for key in settings['dataloader'] if key not in known]
        if unread:
            raise ConfigError(
                f'{path}.dataloader: nothing reads {", ".join(unread)}; expected only '
                f'{", ".join(sorted(known))}.'
            )

    def run(self, context: Context) -> Outcome:
        """Make the masks; those already there are kept."""
        start = time.time()
        rank, world = get_dist_info()
        made = generate(
            model=section_of(self.config, self.section)['model'],
            checkpoint=self.input_path(self.inputs['checkpoint'], context.inputs),
            settings=self.config[self.masks_section],
            out=context.folder,
            rank=rank,
            world=world,
            data_fingerprint=self.fingerprints()['tiles'],
            score=False,
        )
        if rank == 0:
            self._keep_examples(context.folder, made.masks)
        return Outcome(
            items={**{name: name for name in made.names}, 'examples': 'examples'},
            notes={'tiles': made.tiles, 'seconds': round(time.time() - start, 1)},
        )

    def _keep_examples(self, folder: Path, names: list[str]) -> None:
        """Tile and pseudo masks, for the picture."""
        dataset = DATASETS.build(self.config[self.masks_section]['dataloader']['dataset'])
        chosen = evenly(len(dataset), self.examples)
        stems = []
        for index in chosen:
            tile = Path(dataset.get_data_info(index)['img_path'])
            copy_example(tile, folder / 'examples' / f'{tile.stem}.tile.png')
            for name in names:
                mask = folder / name / f'{tile.stem}.png'
                copy_example(mask, folder / 'examples' / f'{tile.stem}.{name}.png')
            stems.append(tile.stem)
        write_json(folder / 'examples' / 'examples.json', stems)
