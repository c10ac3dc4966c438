"""Stands for tools/train.py in tests of processes: does at once what the option ``do`` asks for."""

import json
import os
import signal
import sys
import time
from pathlib import Path

words = sys.argv[1:]
work = Path(words[words.index('--work-dir') + 1])
options = dict(word.split('=', 1) for word in words[words.index('--cfg-options') + 1 :])
do = options.get('do', 'finish')
if os.environ.get('STUB_FAILS') and set(os.environ['STUB_FAILS'].split()) <= set(words):
    do = 'fail'
with (work / 'calls').open('a') as calls:
    calls.write(f'{os.getpid()}\n')
first = len((work / 'calls').read_text().splitlines()) == 1

if do == 'ignore SIGTERM':
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
(work / 'ready').touch()
if do in ('sleep', 'ignore SIGTERM') or (do == 'sleep first' and first):
    time.sleep(60)
time.sleep({'a moment': 0.5, 'two seconds': 2}.get(do, 0))
end = time.monotonic() + 60
while do.endswith(' told') and not (work / 'told').is_file() and time.monotonic() < end:
    time.sleep(0.05)
if do == 'kill the worker':
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(60)
if do == 'die':
    os.kill(os.getpid(), signal.SIGKILL)
if do == 'fail' or (do in ('fail first', 'fail when told') and first):
    print('\n'.join(f'line {number}' for number in range(30)), flush=True)
    sys.exit('error: as it was asked for')
if do != 'leave no result':
    score = 40 + float(options.get('model.lambda_', 0)) + float(options.get('randomness.seed', 0))
    result = {
        'run': 'another' if do == 'be another run' else work.name,
        'seed': int(options.get('randomness.seed', 0)),
        'threads': os.environ['OMP_NUM_THREADS'],
        'rows': [{'name': 'ARML', 'split': 'test', 'metrics': {'mIoU': score}}],
        'dataset': 'tiny', 'words': words, 'closed': sys.stdin.read() == '', 'seconds': 7.5,
        'gpu': os.environ.get('CUDA_VISIBLE_DEVICES'),
        'environment': {
            name: os.environ[name]
            for name in ('WANDB_RUN_GROUP', 'WANDB_NAME', 'WANDB_RUN_ID', 'WANDB_RESUME', 'WANDB_TAGS')
            if name in os.environ
        },
    }  # fmt: skip
    result.update(dict.fromkeys(('commit', 'versions', 'machine', 'data')))
    (work / 'result.json').write_text(json.dumps(result))
