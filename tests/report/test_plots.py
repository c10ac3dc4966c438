"""Plots: what stands where in them, and that the files are whole; each was looked at when it was made."""

from dataclasses import replace

import numpy as np
import pytest
from fake_ledger import omega_cells, omega_lines, runs_of, write_work
from PIL import Image

from arml.report import plot_parameter
from arml.report.plot_cells import cells_of_one_seed, draw_cells
from arml.report.plot_heat_map import draw_heat_map
from arml.report.plot_parameter import Point, draw_parameter, is_curve, places_of
from arml.report.plot_search import draw_importance, draw_slices
from arml.report.plot_seeds import (
    SHARED,
    chosen,
    draw_seeds,
    mean_curve,
    one_a_run,
    read_curves,
)
from arml.report.plot_style import MOST_SERIES, shorten
from arml.report.stats import summarise
from arml.report.sweep_cells import groups_of


def check(files, *texts):
    """A PNG that is no empty page, and an SVG that holds these texts."""
    png, svg = files
    picture = np.asarray(Image.open(png).convert('L'))
    assert picture.std() > 5
    text = svg.read_text(encoding='utf-8')
    for each in texts:
        assert each in text, each


def point(value, *scores, expected=3, paper=None):
    found = summarise(scores, expected)
    return Point(value, dict(enumerate(scores)), expected, found.mean, found.std, paper)


def test_is_curve__numbers_with_words_at_their_ends():
    assert is_curve(['none', 1, 2, 3, 5, 'drop'])
    assert is_curve([0, 0.1, '0.2'])
    assert not is_curve([1, 2])
    assert not is_curve([1, 2, 3, 'kl'])
    assert not is_curve([True, False, 1, 2])


def test_places_of__linear_logarithmic_or_in_steps():
    assert places_of(['none', 1, 2, 3, 5, 'drop']) == (
        pytest.approx([1 - 4 / 3, 1, 2, 3, 5, 5 + 4 / 3]), '',
    )  # fmt: skip
    assert places_of([0.001, 0.01, 1]) == (pytest.approx([-3, -2, 0]), 'logarithmic')
    assert places_of([0, 30, 1]) == ([0, 2, 1], 'in equal steps')


def test_draw_parameter__curve_with_words(tmp_path):
    points = [
        point('none', 60, 61, 62, paper=67.97), point(1, 61, 62.5, 62, paper=69.22),
        point(2, 66, 67, paper=70.56), point(3), point(5, 64, 63, 65), point('drop', 61, 61, 63.5),
    ]  # fmt: skip
    files = draw_parameter('omega', points, 'mIoU (%)', tmp_path / 'omega', comparator=0)
    check(files, 'N/A', '∞', 'ω', 'mIoU (%)', 'n = 2 to 3', 'the paper', 'no result')
    again = draw_parameter('omega', points, 'mIoU (%)', tmp_path / 'again', comparator=0)
    assert [a.read_bytes() for a in files] == [b.read_bytes() for b in again]


def test_draw_parameter__a_line_each_for_words(tmp_path):
    points = [point('baseline', 60), point('full', 62), point('ars')]
    files = draw_parameter('components', points, 'mIoU (%)', tmp_path / 'components')
    check(files, 'baseline', 'ours (n = 1)', 'no result')


def test_draw_parameter__joins_what_one_seed_scored(tmp_path, monkeypatch):
    points = [
        Point(value, scores, 3, 60.0, 1.0)
        for value, scores in ((1, {7: 60, 8: 61}), (2, {8: 62}), (3, {8: 63, 7: 59}), (5, {}))
    ]
    kept = []
    monkeypatch.setattr(plot_parameter, 'save', lambda figure, _: kept.append(figure.axes[0]))
    draw_parameter('omega', points, 'mIoU (%)', tmp_path / 'omega')
    lines = [tuple(line.get_ydata()) for line in kept[0].lines]
    assert (60, 59) in lines
    assert (61, 62, 63) in lines


def test_draw_heat_map__numbers_and_what_is_missing(tmp_path):
    scores = {
        (a, b): summarise([50 + a / 10, 52 + b / 10] if (a, b) != (60, 0) else [], 3)
        for a in (30, 0, 60) for b in (0, 60)
    }  # fmt: skip
    files = draw_heat_map(['alpha', 'beta'], scores, 'mIoU (%)', tmp_path / 'map')
    check(files, 'α', 'β', '51.00', '2 of 3', 'result', 'mIoU (%), mean over seeds')


def test_draw_search__importance_and_slices(tmp_path):
    files = draw_importance({'a.omega': 0.7, 'a.lambda_': 0.3}, 'PED-ANOVA', tmp_path / 'i')
    check(files, '0.70', 'λ', 'PED-ANOVA')
    rng = np.random.default_rng(0)
    trials = [
        {'omega': 10 ** rng.uniform(-2, 1), 'kind': 'ab'[i % 2], 'beta': i} for i in range(20)
    ]
    values = [float(rng.normal(50, 2)) for _ in trials]
    check(draw_slices(trials, values, 3, 'mIoU (%)', tmp_path / 's'), 'ω', 'kind', 'best')


def test_mean_curve__at_the_epochs_that_all_have():
    epochs, means, spread = mean_curve([([1, 2, 3], [1.0, 2.0, 3.0]), ([2, 3], [4.0, 7.0])])
    assert (epochs, means) == ([2, 3], [3.0, 5.0])
    assert spread == pytest.approx([np.std([2, 4], ddof=1), np.std([3, 7], ddof=1)])
    assert mean_curve([([1], [5.0])]) == ([1], [5.0], [0.0])


def sweep_with_works(tmp_path, classifier=lambda line: f'seed {line["seed"]}'):
    lines = omega_lines()
    for line in lines:
        write_work(tmp_path / line['run'], line, classifier(line))
    return groups_of(runs_of(omega_cells(), lines).entries)


def test_read_curves__a_shared_classifier_is_drawn_once(tmp_path):
    groups = sweep_with_works(tmp_path)
    stages, faults = read_curves(groups)
    assert faults == []
    assert list(stages['classifier']['val']) == [f'{SHARED} (n = 3)']
    assert list(stages['segmentor']['val']) == [f'{x} (n = 3)' for x in ('N/A', '1', '2', '∞')]
    check(draw_seeds(stages, tmp_path / 'curves'), 'classifier', 'validation mIoU (%)', SHARED)
    own, _ = read_curves(sweep_with_works(tmp_path / 'own', classifier=lambda line: line['run']))
    assert len(own['classifier']['val']) == 4


def test_read_curves__what_is_missing_is_named(tmp_path):
    groups = sweep_with_works(tmp_path)
    (tmp_path / '2-1' / 'segmentor' / 'history.jsonl').unlink()
    stages, (fault,) = read_curves(groups)
    assert '2-1/segmentor/history.jsonl: no such history' in fault
    assert '2 (n = 2)' in stages['segmentor']['val']
    bare = groups_of(runs_of(omega_cells(), omega_lines()).entries)
    assert read_curves(bare) == ({}, [])


def test_one_a_run__several_results_of_a_run_are_one_line(tmp_path):
    plain = sweep_with_works(tmp_path)
    groups = [
        replace(group, values={**group.values, 'result': result})
        for group in plain
        for result in ('segmentor', 'maps')
    ]
    assert groups[1].label == 'N/A, maps'
    kept, means = one_a_run(groups, list(range(8)), None)
    assert [group.label for group in kept] == [f'{x}, segmentor' for x in ('N/A', '1', '2', '∞')]
    assert means == [0, 2, 4, 6]
    assert list(read_curves(kept)[0]['segmentor']['val']) == [
        f'{x} (n = 3)' for x in ('N/A', '1', '2', '∞')
    ]
    assert one_a_run(plain, [1.0] * 4, plain[2]) == (plain, [1.0] * 4)
    kept, means = one_a_run(groups, list(range(8)), groups[3])
    assert (kept, means) == ([groups[index] for index in (0, 3, 4, 6)], [0, 3, 4, 6])
    assert [label for label, _ in cells_of_one_seed(kept)][1] == '1, seed 0'


def test_draw_seeds__long_names_stay_within_the_page(tmp_path):
    curve = ([1, 2, 3], [1.0, 2.0, 3.0], [0.1, 0.1, 0.1])
    names = [f'{letter}{"x" * 30} (n = 3)' for letter in 'abcdefgh']
    png, _ = draw_seeds({'segmentor': {'val': dict.fromkeys(names, curve)}}, tmp_path / 'curves')
    legend = np.asarray(Image.open(png).convert('L'))[-60:] < 200
    assert legend.any()
    assert not legend[:, :20].any()
    assert not legend[:, -20:].any()


def test_chosen__the_comparator_the_best_and_the_worst():
    scores = {value: [float(value)] for value in range(20)}
    groups = groups_of(runs_of(omega_cells(scores), omega_lines(scores)).entries)
    means = [*map(float, range(19)), float('nan')]
    found = chosen(groups, means, groups[5])
    assert len(found) == MOST_SERIES
    assert [group.values['omega'] for group in found] == [0, 5, 13, 14, 15, 16, 17, 18]
    assert chosen(groups[:3], means[:3], None) == groups[:3]


def test_draw_cells__tiles_truth_and_predictions(tmp_path):
    groups = sweep_with_works(tmp_path)
    cells = cells_of_one_seed(groups)
    assert [label for label, _ in cells] == [f'{x}, seed 0' for x in ('N/A', '1', '2', '∞')]
    file, faults = draw_cells(cells, tmp_path / 'tiles.png', 'tiny')
    assert (faults, file) == ([], tmp_path / 'tiles.png')
    width, height = Image.open(file).size
    assert width > 6 * 250
    assert height > 2 * 250
    (tmp_path / '1-0' / 'test' / 'examples' / 'examples.json').unlink()
    _, (fault,) = draw_cells(cells, tmp_path / 'tiles.png', 'tiny')
    assert 'run 1-0: no example tiles in' in fault
    bare = cells_of_one_seed(groups_of(runs_of(omega_cells(), omega_lines()).entries))
    file, faults = draw_cells(bare, tmp_path / 'none.png', '')
    assert (file, len(faults)) == (None, 4)


def test_cells_of_one_seed__one_that_all_have():
    lines = [line for line in omega_lines() if line['run'] not in ('none-0', '2-1')]
    groups = groups_of(runs_of(omega_cells(), lines).entries)
    assert {entry.seed for _, entry in cells_of_one_seed(groups)} == {2}
    lines = [line for line in lines if line['run'] != '1-2' and line['parameters']['omega'] != 2]
    labels = [
        label for label, _ in cells_of_one_seed(groups_of(runs_of(omega_cells(), lines).entries))
    ]
    assert labels == ['N/A, seed 1', '1, seed 1', '∞, seed 1']
    assert cells_of_one_seed([]) == []


def test_shorten__keeps_both_ends():
    assert shorten('short') == 'short'
    assert shorten('a' * 20 + 'b' * 20, 11) == 'aaaaa…bbbbb'
