"""A program that does what a cell does before its first stage begins, and says when it was where.

``cell_start.py CONFIG KEY=VALUE ...`` prints a line of JSON: names of steps and the time of day at their end.
"""

import json
import sys
import time

if __name__ == '__main__':
    ends = [['interpreter', time.time()]]
    import torch  # noqa: F401

    ends.append(['import of torch', time.time()])
    from arml.startup import start

    start()
    ends.append(['import of mmseg and arml', time.time()])
    from arml.ablation import read_options
    from arml.config import load_config
    from arml.config.load import datasets_in
    from arml.pipeline.data import check_before_training
    from arml.pipeline.run import build_stages, make_plan
    from arml.pipeline.store import Store

    ends.append(['import of the pipeline', time.time()])
    config = load_config(sys.argv[1], read_options(sys.argv[2:]), for_run=True)
    ends.append(['config', time.time()])
    check_before_training(datasets_in(config._cfg_dict), print)
    ends.append(['check of the data', time.time()])
    plan = make_plan(build_stages(config), Store(config.store))
    ends.append(['plan: keys and fingerprints', time.time()])
    for item in plan:
        if item.state != 'finished':
            item.stage.check(continued=False)
    ends.append(['check of the stages', time.time()])
    print(json.dumps(ends), flush=True)
