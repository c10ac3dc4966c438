"""A run as TensorBoard's event files in its work dir: no account, no server."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from arml.report.table import markdown_table
from arml.tracking import names
from arml.tracking.note import Note
from arml.tracking.tracker import Made, RunInfo, Tracker

FOLDER = 'tensorboard'


class TensorboardTracker(Tracker):
    """Event files in ``<work dir>/tensorboard``; stages are told apart by the names of the curves.

    Args:
        info: The run.
        folder: Where to write instead.

    Raises:
        ImportError: Without the package tensorboard.
    """

    name = 'TensorBoard'
    advice = 'The histories of the stages in the work dir hold the same numbers.'

    def __init__(self, info: RunInfo, folder: Path | None = None) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ImportError(
                f'the package tensorboard cannot be imported ({error}). Install it: '
                "pip install 'arml[tensorboard]'"
            ) from error
        folder = folder or info.folder / FOLDER
        note = Note(info.folder, info.key, self.name)
        self.continues = bool(note.read()) and any(folder.glob('events.out.tfevents.*'))
        self.writer = SummaryWriter(str(folder))
        if not self.continues:
            note.update(folder=folder.name, stages={})
        self.writer.add_text('settings', _as_table(info.settings))

    def log(self, point: Mapping[str, float], stage: str) -> None:
        """One point of some curves, at the iteration of its stage."""
        places = (f'{stage}/iter', f'{stage}/epoch') if stage else ('iter', 'epoch')
        for name, value in point.items():
            if name not in places:
                self.writer.add_scalar(name, value, point[places[0]])
        self.writer.flush()  # a killed training loses nothing

    def image(self, name: str, image: Any, iteration: int, stage: str) -> None:
        """A picture at an iteration."""
        self.writer.add_image(
            f'{stage}/{name}' if stage else name, image, iteration, dataformats='HWC'
        )

    def product(self, made: Made, reused: bool) -> None:
        """One line of text."""
        self.writer.add_text(
            f'products/{made.stage}', f'{"used" if reused else "made"}: {made.name}'
        )

    def result(self, result: Mapping[str, Any], folder: Path) -> None:
        """The final scores, the table and the pictures of the run."""
        for name, value in names.final_scores(result).items():
            if name.startswith('test/'):
                self.writer.add_scalar(name, value, 0)
        self.writer.add_text('table', markdown_table(result))
        for picture in result.get('pictures') or ():
            with Image.open(folder / picture) as image:
                pixels = np.asarray(image.convert('RGB'))
            self.writer.add_image(Path(picture).stem, pixels, 0, dataformats='HWC')

    def close(self, status: int, patience: float | None = None) -> None:
        """Close the file."""
        if status:
            self.writer.add_text('failed', f'ended with status {status}')
        self.writer.close()


def _as_table(settings: Mapping[str, Any]) -> str:
    """Settings as Markdown, which TensorBoard shows."""
    lines = ['| | |', '|---|---|', *(f'| {name} | `{value}` |' for name, value in settings.items())]
    return '\n'.join(lines)
