"""Named recipes of augmentation, so that a whole recipe is one leaf of a config."""

from mmcv.transforms import BaseTransform, Compose

from arml.errors import ConfigError
from arml.registry import TRANSFORMS

_HORIZONTAL = dict(type='RandomFlip', prob=0.5, direction='horizontal')
_VERTICAL = dict(type='RandomFlip', prob=0.5, direction='vertical')

#: A name means these steps for ever: products in stores are keyed by it. Other steps, another name.
RECIPES: dict[str, list[dict]] = {
    'none': [],
    # MLPS, the parent of ARML; the paper of ARML says nothing.
    'flips': [_HORIZONTAL, _VERTICAL],
    # For few tiles and no pretrained weights.
    'turns_and_stain': [
        _HORIZONTAL,
        dict(type='arml.RandomRotate90', prob=0.75),
        dict(type='arml.RandomStainJitter', prob=0.8, strength=0.2),
    ],
    # The released code of ARML, stage 1: blur always, then brightness and contrast.
    'released_classifier': [
        _HORIZONTAL,
        dict(type='arml.RandomGaussianBlur', prob=1.0, sigma=(0.1, 2.0), kernel=3),
        _VERTICAL,
        dict(type='arml.RandomBrightnessContrast', brightness=0.5, contrast=0.5),
    ],
    # The released code of ARML, stage 2.
    'released_segmentor': [
        _HORIZONTAL,
        dict(type='arml.RandomGaussianBlur', prob=0.5, sigma=(1e-3, 1.0), kernel=7),
    ],
}


@TRANSFORMS.register_module()
class Augment(BaseTransform):
    """The steps of a named recipe.

    In a data set's pipeline it stands without a name and marks the place: the data set's
    ``augmentation`` names the recipe.

    Args:
        recipe: One of ``RECIPES``.

    Raises:
        ConfigError: If there is no such recipe.
    """

    def __init__(self, recipe: str) -> None:
        if recipe not in RECIPES:
            raise ConfigError(
                f'augmentation: found {recipe!r}, expected one of {", ".join(RECIPES)}'
            )
        self.recipe = recipe
        self.steps = Compose([dict(step) for step in RECIPES[recipe]])

    def transform(self, results: dict) -> dict:
        """Run the steps."""
        return self.steps(results)

    def __repr__(self) -> str:
        return f'Augment(recipe={self.recipe!r})'


def name_recipe(pipeline: list, augmentation: str | None) -> list:
    """Give the ``arml.Augment`` of a pipeline the recipe that the data set names.

    Raises:
        ConfigError: If one of the two is there without the other (an empty pipeline reads nothing).
    """
    marks = [i for i, step in enumerate(pipeline) if _is_mark(step)]
    if pipeline and bool(marks) != (augmentation is not None):
        raise ConfigError(
            f'dataset.augmentation: found {augmentation!r} and {len(marks)} steps '
            "dict(type='arml.Augment') without a recipe in its pipeline; expected both or neither"
        )
    return [
        {**step, 'recipe': augmentation} if index in marks else step
        for index, step in enumerate(pipeline)
    ]


def _is_mark(step) -> bool:
    return isinstance(step, dict) and step.get('type') == 'arml.Augment' and 'recipe' not in step
