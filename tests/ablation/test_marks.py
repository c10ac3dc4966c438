"""YAML with the lines of its parts."""

import pytest

from arml.ablation.marks import MarkedYaml
from arml.errors import ConfigError

TEXT = """# a comment
a:
  b.c:
    values: [1,
      2]
  d: {e: 1}
list:
- x
- y: 1
"""


@pytest.fixture
def write(tmp_path):
    def file(text):
        path = tmp_path / 'some.yaml'
        path.write_text(text)
        return path

    return file


def test_line__of_a_part_or_of_the_nearest_above(write):
    file = MarkedYaml(write(TEXT))
    assert file.content == {
        'a': {'b.c': {'values': [1, 2]}, 'd': {'e': 1}},
        'list': ['x', {'y': 1}],
    }
    places = {
        (): 1, ('a',): 2, ('a', 'b.c'): 3, ('a', 'b.c', 'values'): 4, ('a', 'b.c', 'values', 0): 4,
        ('a', 'b.c', 'values', 1): 5, ('a', 'd', 'e'): 6, ('list', 0): 8, ('list', 1, 'y'): 9,
        ('a', 'd', 'nothing'): 6, ('nothing',): 1,
    }  # fmt: skip
    assert {steps: file.line(*steps) for steps in places} == places
    file.refuse()


def test_refuse__lists_all_faults_by_line(write):
    file = MarkedYaml(write(TEXT))
    file.fault(('a', 'd', 'e'), 'found 1')
    file.fault(('a', 'b.c', 'values', 1), 'found 2')
    file.fault((), 'is a file')
    with pytest.raises(ConfigError) as caught:
        file.refuse()
    lines = str(caught.value).splitlines()
    assert [line.partition('some.yaml')[2] for line in lines] == [
        ', line 1: is a file',
        ', line 5: a.b.c.values: found 2',
        ', line 6: a.d.e: found 1',
    ]


@pytest.mark.parametrize(
    'text', ['a: 1\nb: 2\na: 3', 'a: 1\nb: 2\n"a": 1', 'x: {a: 1,\n b: 1,\n a: 2}']
)
def test_equal_keys__are_a_fault(write, text):
    with pytest.raises(
        ConfigError, match='line 3: .*a: stands here a second time, first in line 1'
    ):
        MarkedYaml(write(text)).refuse()


def test_unequal_keys__are_none(write):
    MarkedYaml(write('a: {a: 1}\nb: {a: 1}\n1: x\n"1": y')).refuse()


@pytest.mark.parametrize('text', [': [', 'a: 1\n---\nb: 2', 'a: *nowhere', 'a: !!python/none x'])
def test_no_yaml(write, text):
    with pytest.raises(ConfigError, match=r'some\.yaml: is no YAML'):
        MarkedYaml(write(text))


def test_no_file_and_no_text(write, tmp_path):
    with pytest.raises(ConfigError, match=r'nowhere\.yaml: cannot be read'):
        MarkedYaml(tmp_path / 'nowhere.yaml')
    file = write('')
    file.write_bytes(b'name: \xff')
    with pytest.raises(ConfigError, match=r'some\.yaml: is no YAML'):
        MarkedYaml(file)
    assert MarkedYaml(write('')).content is None
