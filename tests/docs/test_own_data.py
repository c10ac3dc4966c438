"""docs/own_data.md, followed literally in a copy of the repository."""

import re

import numpy as np
import pytest
from conftest import ROOT, draw_tile
from PIL import Image
from test_add_a_method import COMMAND, FILE, copy, run  # noqa: F401

PAGE = (ROOT / 'docs' / 'own_data.md').read_text(encoding='utf-8')
#: Instead of minutes; the tiles drawn here are small.
SMALL = (
    'train_cfg.max_epochs=1 classifier.train_cfg.max_epochs=1 tile_size=32,32 classifier.tile_size=32,32 '
    'classifier.train_dataloader.batch_size=6'
)


def draw(folder):
    """Three classes in the layout of the page, none of the optional masks."""
    rng = np.random.default_rng(0)
    for number, (split, count) in enumerate({'train': 12, 'val': 6, 'test': 6}.items(), start=1):
        for index in range(count):
            classes = ([0, 1], [1, 2], [2, 0], [0], [1], [2, 1, 3])[index % 6]
            image, mask = draw_tile(rng, classes)
            name = f'case0{number}_{index:02d}'
            files = {'img': image, 'mask': mask}
            if split == 'train':
                name += f'[{"".join(str(int(label in classes)) for label in range(3))}]'
                files = {'': image}
            for kind, pixels in files.items():
                file = folder / split / kind / f'{name}.png'
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(file)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_own_data__every_step_holds(copy):  # noqa: F811
    draw(copy / 'data' / 'mine')
    for name, text in FILE.findall(PAGE):
        (copy / name).write_text(text)
    register, commands = COMMAND.findall(PAGE)
    run(copy, register)
    check, train = commands.strip().splitlines()
    assert '0 error(s), 0 warning(s)' in run(copy, check)
    run(copy, f'{train} --work-dir work --cfg-options {SMALL}')
    table = (copy / 'work' / 'table.md').read_text()
    assert re.search(r'GLA \| +STR \| +FAT \|', table)
    assert '| ARML ' in table


def test_own_data__the_guide_to_sweeps_asks_its_config():
    guide = (ROOT / 'docs' / 'sweeps.md').read_text(encoding='utf-8')
    (config,) = [name for name, _ in FILE.findall(PAGE) if name.startswith('configs/arml')]
    assert f"'${{program}}', {config}, --resume" in guide
