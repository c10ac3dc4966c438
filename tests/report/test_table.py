"""Tables against the text that they must be."""

import pytest

from arml.errors import DataError
from arml.report.table import markdown_table, number, text_table


def metrics(first: float, prefix: str = '') -> dict:
    names = ('IoU.x', 'IoU.y', 'mIoU', 'mDice', 'ACC', 'FwIoU')
    return {prefix + name: first + index for index, name in enumerate(names)}


def result(background: bool = True, splits: tuple = ('test', 'test')) -> dict:
    rows = [
        {'name': 'raw CAM', 'split': splits[0], 'metrics': metrics(30.126)},
        {'name': 'segmentor', 'split': splits[1], 'metrics': metrics(50.0)},
    ]
    if background:
        rows[1]['metrics'].update(metrics(40.0, 'B.'))
    return {'name': 'tiny', 'classes': ['x', 'y'], 'rows': rows}


def test_markdown_table__golden():
    assert markdown_table(result()) == (
        '**Protocol A (background dropped)**, IoU per class, percent\n'
        '\n'
        '|           |     x |     y |   mIoU |   Dice |   ACC |\n'
        '|:----------|------:|------:|-------:|-------:|------:|\n'
        '| raw CAM   | 30.13 | 31.13 |  32.13 |  33.13 | 34.13 |\n'
        '| segmentor | 50.00 | 51.00 |  52.00 |  53.00 | 54.00 |\n'
        '\n'
        '**Protocol B (background counts)**, IoU per class, percent\n'
        '\n'
        '|           |     x |     y |   mIoU |   Dice |   ACC |\n'
        '|:----------|------:|------:|-------:|-------:|------:|\n'
        '| segmentor | 40.00 | 41.00 |  42.00 |  43.00 | 44.00 |'
    )


def test_markdown_table__no_block_for_a_protocol_that_does_not_apply():
    assert 'Protocol B' not in markdown_table(result(background=False))


def test_markdown_table__names_the_split_where_there_are_several():
    table = markdown_table(result(splits=('train', 'test')))
    assert '| raw CAM   | train   | 30.13 |' in table
    assert 'split' not in markdown_table(result())


def test_markdown_table__a_missing_score_is_a_dash():
    value = result()
    value['rows'][0]['metrics'].update({'IoU.x': None, 'IoU.y': float('nan')})
    assert '| raw CAM   |     – |     – |  32.13 |' in markdown_table(value)


def test_text_table__same_numbers_without_bars():
    table = text_table(result())
    assert '|' not in table
    assert 'segmentor  50.00  51.00   52.00   53.00  54.00' in table


def test_number__rounds_only_for_the_reader():
    assert number(12.345678) == '12.35'
    assert number(12.345678, digits=4) == '12.3457'
    assert number(None) == number(float('nan')) == '–'


def test_markdown_table__raises():
    for render in (markdown_table, text_table):
        with pytest.raises(DataError, match='field "rows"'):
            render({'classes': ['x']})
