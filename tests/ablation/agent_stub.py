"""Stands for tools/train.py where only what an agent calls it with matters."""

import json
import os
import sys
from pathlib import Path

kept = {name: value for name, value in os.environ.items() if name.startswith('WANDB_')}
file = Path('calls') / f'{os.environ["WANDB_RUN_ID"]}.json'
file.parent.mkdir(exist_ok=True)
file.write_text(json.dumps({'words': sys.argv[1:], 'environment': kept}))
