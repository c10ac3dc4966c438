"""Lines of the log."""

from mmengine.runner import LogProcessor

from arml.engine import BriefLogProcessor


def test_brief_log_processor__keeps_scores_and_shortens_the_line(monkeypatch):
    scores = {'mIoU': 41.0, 'IoU.TUM': 40.0, 'Dice.TUM': 50.0, 'B.mIoU': 39.0, 'mAP': 90.0}
    line = 'Epoch(val) [1][2/2]    ' + '  '.join(f'{k}: {v:.4f}' for k, v in scores.items())
    monkeypatch.setattr(LogProcessor, 'get_log_after_epoch', lambda *args: (scores, line))
    found, short = BriefLogProcessor().get_log_after_epoch(None, 1, 'val')
    assert found == scores
    assert short == 'Epoch(val) [1][2/2]    mIoU: 41.0000  IoU.TUM: 40.0000  mAP: 90.0000'
