"""Lines of a run's table, by name and by what they are of; several of them in one table."""

import pytest
from fake_ledger import failed, finished, metrics, runs_of

from arml.errors import DataError
from arml.report.grid_report import grid_report
from arml.report.options import ReportOptions
from arml.report.paper_tables import paper_table
from arml.report.rows import find_row, row_of
from arml.report.sweep_cells import groups_of, split_by_row

ROWS = [
    {'name': 'pseudo masks', 'stage': 'mask_scores', 'metrics': {}},
    {'name': 'raw CAM', 'stage': 'cam_test', 'metrics': {}},
    {'name': 'OEEM', 'stage': 'test', 'metrics': {}},
]
OLDER = [{'name': 'raw CAM', 'metrics': {}}, {'name': 'ARML', 'metrics': {}}]


def test_find_row__by_name_and_by_what_it_is_of():
    assert find_row(ROWS, 'segmentor') is ROWS[2]
    assert find_row(ROWS, 'maps') is ROWS[1]
    assert find_row(ROWS, 'OEEM') is ROWS[2]
    assert find_row(ROWS, 'pseudo masks') is ROWS[0]
    assert find_row(ROWS[:2], 'segmentor') is None
    # Results of before the stage stood in them.
    assert find_row(OLDER, 'segmentor') is OLDER[1]
    assert find_row(OLDER, 'maps') is OLDER[0]
    assert find_row([{**ROWS[2], 'name': 'ARML', 'stage': 'other'}], 'segmentor') is None
    with pytest.raises(DataError, match=r"x: has no row 'CAM'; it has pseudo masks, raw CAM, OEEM"):
        row_of(ROWS, 'CAM', 'x')


def methods():
    """Three methods with two seeds: one without maps of its own, one with a seed that failed."""
    lines, cells = [], []
    for method, score in (('arml', 50.0), ('cam', 40.0), ('full', 60.0)):
        for seed in (0, 1):
            parameters, run = {'method': method, 'randomness.seed': seed}, f'{method}-{seed}'
            cells.append((parameters, run))
            line = finished(parameters, score + seed, run)
            maps, final = line['rows']
            line['rows'] = [
                {**maps, 'stage': 'cam_test'},
                {**final, 'name': method, 'stage': 'test'},
            ]
            if method == 'full':
                line['rows'] = line['rows'][1:]
            lines.append(failed(parameters, run) if run == 'cam-1' else line)
    return runs_of(cells, lines)


def test_split_by_row__a_line_for_each_that_is_there():
    groups = groups_of(methods().entries)
    assert split_by_row(groups, ('segmentor',)) == groups
    found = split_by_row(groups, ('segmentor', 'maps'))
    assert [tuple(group.values.values()) for group in found] == [
        ('arml', 'segmentor'), ('arml', 'maps'), ('cam', 'segmentor'), ('cam', 'maps'), ('full', 'segmentor'),
    ]  # fmt: skip
    scores = [group.scores('segmentor', 'mIoU') for group in found]
    assert scores == [
        {0: 50.0, 1: 51.0}, {0: 45.0, 1: 46.0}, {0: 40.0}, {0: 35.0}, {0: 60.0, 1: 61.0},
    ]  # fmt: skip
    nothing = [group for group in groups if group.values['method'] == 'cam']
    nothing[0].entries[:] = nothing[0].entries[1:]
    assert [group.values['result'] for group in split_by_row(nothing, ('segmentor', 'maps'))] == [
        'segmentor'
    ]


def test_report__of_both(tmp_path):
    options = ReportOptions(
        rows=('segmentor', 'maps'), comparators=('method=arml,result=segmentor',), tiles=False
    )
    report = grid_report(methods(), options, tmp_path)
    lines = {tuple(line['values'].values()): line for line in report.data['lines']}
    assert lines['arml', 'maps']['scores']['mIoU']['mean'] == 45.5
    assert lines['cam', 'maps']['scores']['mIoU']['n'] == 1
    assert 'segmentor and maps on synthetic' in report.markdown
    assert '6 cells: 5 finished, 1 failed' in report.markdown
    assert '| cam' in report.markdown
    assert '1 of 2' in report.markdown
    assert metrics(45.0)['IoU.TUM'] == lines['arml', 'maps']['cells'][0]['metrics']['IoU.TUM']


def test_paper_table__rows_of_methods():
    table = paper_table('table1')
    assert table.row_of({'method': 'arml'}, 'BCSS-WSSS').scores['mIoU'] == 70.56
    assert table.row_of({'backbone': 'resnest101'}, 'BCSS-WSSS').scores['mIoU'] == 70.56
    assert table.row_of({'method': 'arml', 'result': 'maps'}, 'BCSS-WSSS') is None
    both = [
        table.row_of({'method': 'gradcam_plus_plus', 'result': result}, 'LUAD-HistoSeg').name
        for result in ('segmentor', 'maps')
    ]
    assert both == ['Grad-CAM++', 'Grad-CAM++']
    assert table.row_of({'method': 'tpro'}, 'BCSS-WSSS') is None
