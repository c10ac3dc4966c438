import pytest

from arml.datasets.labels import format_label, label_text, parse_label
from arml.errors import DataError


@pytest.mark.parametrize(
    ('name', 'label'),
    [
        ('TCGA-A1-A0SK-DX1_xmin45749_ymin25055_MPP-0.2500+0[1101].png', (1, 1, 0, 1)),
        ('1031280-2300-27920-[1 0 0 1].png', (1, 0, 0, 1)),
        ('a/b[0000]/c[0000].png', (0, 0, 0, 0)),
        ('GT2012118-1-400-005_AC+1[0100].png', (0, 1, 0, 0)),
    ],
)
def test_parse_label__published_formats(name, label):
    assert parse_label(name, 4) == label


@pytest.mark.parametrize('separator', ['', ' '])
@pytest.mark.parametrize('label', [(1, 0, 0, 1), (0, 0, 0, 0), (1, 1, 1)])
def test_format_label__parse_gives_it_back(label, separator):
    assert parse_label('x' + format_label(label, separator) + '.png', len(label)) == label


@pytest.mark.parametrize('name', ['tile.png', 'tile[1101.png', 'tile1101].png', ']1101[.png'])
def test_parse_label__missing(name):
    with pytest.raises(DataError, match=r'no image-level label .* expected 4 digits'):
        parse_label(name, 4)


@pytest.mark.parametrize('text', ['', '12 0', '11a1', '1,1,0,1', '1  0 0 1', ' 1 0 0 1', '2000'])
def test_parse_label__malformed_names_the_file(text):
    with pytest.raises(DataError, match=r'tile\[.*malformed'):
        parse_label(f'tile[{text}].png', 4)


@pytest.mark.parametrize(('text', 'digits'), [('110', 3), ('11011', 5), ('1 0 0', 3), ('1', 1)])
def test_parse_label__wrong_number_of_digits(text, digits):
    with pytest.raises(DataError, match=rf'has {digits} digits; expected 4'):
        parse_label(f'tile[{text}].png', 4)


def test_format_label__other_value():
    with pytest.raises(DataError, match='only the values 0 and 1'):
        format_label((0, 2))


def test_label_text__first_bracket():
    assert label_text('a[10]b[01]') == '10'
    assert label_text('a') is None
