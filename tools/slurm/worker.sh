#!/usr/bin/env bash
# One more worker of a sweep, on this machine: by hand, by ssh, or by sweep_array.sbatch.
#
#   ARML_STORAGE=postgresql+psycopg://arml@db.example.org/arml tools/slurm/worker.sh SWEEP [OPTIONS of tools/sweep.py run]
#
# The folder it is started in must be the same shared one for all workers: code, data, work_dirs.
set -euo pipefail
# exec: a signal to this process reaches the worker, which reads ARML_STORAGE itself.
exec "${ARML_PYTHON:-.venv/bin/python}" tools/sweep.py run "$@"
