"""Stands for tools/train.py in searches: validates a few times, better the larger lambda is."""

import json
import os
import sys
import time
from pathlib import Path

words = sys.argv[1:]
work = Path(words[words.index('--work-dir') + 1])
options = dict(word.split('=', 1) for word in words[words.index('--cfg-options') + 1 :])
with (work / 'calls').open('a') as calls:
    calls.write(f'{os.getpid()}\n')
first = len((work / 'calls').read_text().splitlines()) == 1
folder = work / 'segmentor'
folder.mkdir(exist_ok=True)
lam = float(options['model.lambda_'])
rows = []
for epoch in range(1, 5):
    time.sleep(float(os.environ.get('STUB_EPOCH', 0)))
    rows.append({'epoch': epoch, 'iter': epoch * 10, 'kind': 'train', 'loss': 1 / epoch})
    rows.append({'epoch': epoch, 'iter': epoch * 10, 'kind': 'val', 'mIoU': 40 * lam + epoch})
    (folder / 'new').write_text(''.join(json.dumps(row) + '\n' for row in rows))
    (folder / 'new').rename(folder / 'history.jsonl')
    if epoch == 2 and first and os.environ.get('STUB_FAILS') == 'first':
        sys.exit('error: as it was asked for')
if os.environ.get('STUB_FAILS') == 'always':
    sys.exit('error: as it was asked for')
result = {
    'run': work.name, 'seed': 0, 'seconds': 1.0, 'histories': {'segmentor': 'segmentor/history.jsonl'},
    'rows': [{'name': 'ARML', 'split': 'test', 'metrics': {'mIoU': 99 - 40 * lam}}],
    'validation': {'segmentor': {'metric': 'mIoU', 'value': 40 * lam + 4, 'epoch': 4}},
}  # fmt: skip
(work / 'result.json').write_text(json.dumps(result))
