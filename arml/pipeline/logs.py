"""mmengine's own logs in a product: the newest is kept, those of interrupted attempts are not."""

import re
import shutil
from pathlib import Path

#: A folder of mmengine's Runner: the time it began.
STAMP = re.compile(r'\d{8}_\d{6}')


def tidy_logs(folder: Path) -> None:
    """Keep the newest log folder of a finished product as ``log/``; remove older ones.

    The dumped config goes too: its paths are those of this machine, and the whole config lies in
    the checkpoint and in the work dir.
    """
    logs = sorted(p for p in folder.iterdir() if p.is_dir() and STAMP.fullmatch(p.name))
    for old in logs[:-1]:
        shutil.rmtree(old, ignore_errors=True)
    if logs:
        shutil.rmtree(folder / 'log', ignore_errors=True)
        logs[-1].rename(folder / 'log')
        for name in ('vis_data/config.py', 'config.py'):
            (folder / 'log' / name).unlink(missing_ok=True)
    for dumped in folder.glob('*.py'):
        dumped.unlink()
