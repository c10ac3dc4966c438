"""Where the processes of a test put their results together."""

import os
import tempfile

from mmengine.dist import broadcast_object_list, get_world_size, is_main_process
from mmengine.evaluator import BaseMetric


class CollectingMetric(BaseMetric):
    """A metric whose processes exchange their results in a temporary folder.

    mmengine's own choice is ``.dist_test/`` in the working directory, where it stays. It is left
    to stand only where processes on several machines need a folder that all of them see.
    """

    def evaluate(self, size: int) -> dict[str, float]:
        """Collect the results of all processes and compute the metrics; as in mmengine."""
        given = self.collect_dir
        world = get_world_size()
        here = int(os.environ.get('LOCAL_WORLD_SIZE', world))
        if given is None and self.collect_device == 'cpu' and 1 < world == here:
            made = [tempfile.mkdtemp(prefix='arml-test-') if is_main_process() else None]
            broadcast_object_list(made)
            self.collect_dir = made[0]  # mmengine removes it once it is read
        try:
            return super().evaluate(size)
        finally:
            self.collect_dir = given
